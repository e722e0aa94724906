//! The rules that the lives ask are those of the definitions. No network.

use kube::core::cel::validate_cel_update;
use medallion_crds::Pipeline;

use crate::YAML;
use crate::world::rules;

#[test]
fn rules_that_were_compiled_once_say_what_they_say_when_compiled_anew() {
    let before: Pipeline = serde_saphyr::from_str(YAML).expect("the user's YAML");
    assert_eq!(rules::of_pipelines(&before, Some(&before)), Ok(()));
    let mut other = before.clone();
    other.spec.aws.region = "eu-north-1".to_owned();
    let refused = rules::of_pipelines(&other, Some(&before)).expect_err("another region");
    assert_eq!(Err(refused), validate_cel_update(&other, &before));
}
