//! The blocks of `docs/kafka.md` are taken by the schema as they stand: whoever copies one has a Pipeline that is accepted.

use std::collections::BTreeSet;

use medallion_crds::Pipeline;
use serde_json::Value;

fn blocks() -> Vec<Value> {
    include_str!("../../docs/kafka.md")
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| serde_saphyr::from_str(block).expect("YAML"))
        .collect()
}

#[test]
fn every_block_makes_an_accepted_pipeline_and_every_type_has_one() {
    let mut types = BTreeSet::new();
    for block in blocks() {
        let mut object: Value =
            serde_saphyr::from_str(include_str!("../examples/smallest.yaml")).expect("an example of ours is YAML");
        let kafka = &block["kafka"];
        object["spec"]["kafka"] = kafka.clone();
        let pipeline: Pipeline = serde_json::from_value(object).expect("a Pipeline");
        pipeline.validate_cel().expect("the schema's rules");
        types.insert(kafka["authentication"]["type"].as_str().expect("a type").to_owned());
    }
    let types: Vec<_> = types.iter().map(String::as_str).collect();
    assert_eq!(types, ["MskIam", "MutualTls", "Plain", "Scram"]);
}
