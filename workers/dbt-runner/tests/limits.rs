//! What a project is held to at parse is what a run's report can name.

use medallion_crds::launch::report::{MAX_NAME, MAX_TABLES};

#[test]
fn the_rules_of_a_project_have_the_limits_of_the_report() {
    let rules = include_str!("../python/medallion_dbt/rules.py");
    let limits = format!("MAX_TABLES, MAX_NAME = {MAX_TABLES}, {MAX_NAME}\n");
    assert!(rules.contains(&limits), "{limits}");
}
