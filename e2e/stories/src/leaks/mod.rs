//! Whether what stands in a pipeline's Secrets stands anywhere else: everything that can be read of it is searched, and one secret
//! that was let out on purpose must be found. Touches all of the stack.

mod marker;
mod places;
mod planted;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};

use crate::shop::Shop;
use marker::{Finding, Marker, findings};
use places::{Kind, Place};

/// Key of what AWS's own libraries read from the environment.
const FOR_AWS: &str = "AWS_SECRET_ACCESS_KEY";
const PATIENCE: Duration = Duration::from_mins(1);

/// Fails with each place where a secret of the pipeline stands that should not; `known` are those that must have been looked for, by
/// Secret and key.
pub async fn search(shop: &Shop<'_>, known: &[(&str, &str)]) -> Result<()> {
    let step = shop.world.progress.step("no secret stands anywhere but in its Secret");
    planted::let_out(shop, &step, PATIENCE).await?;
    let secrets: Api<Secret> = shop.world.cluster.api(&shop.namespace);
    let secrets = secrets.list(&ListParams::default()).await?.items;
    let markers: Vec<Marker> = secrets.iter().flat_map(Marker::of).collect();
    for (secret, key) in known.iter().chain(&[planted::SECRET_AND_KEY]) {
        ensure!(
            markers.iter().any(|marker| marker.stands_in(secret, key)),
            "Secret {secret} has no {key} that could be looked for"
        );
    }
    let places = places::all(shop).await?;
    judge(&markers, &places)?;
    step.done(format!("{} secrets, {} places", markers.len(), places.len()));
    Ok(())
}

fn judge(markers: &[Marker], places: &[Place]) -> Result<()> {
    for kind in Kind::ALL {
        ensure!(
            places.iter().any(|place| place.kind == kind && !place.text.is_empty()),
            "nothing was searched of {kind:?}"
        );
    }
    let (seeded, leaked): (Vec<Finding<'_>>, Vec<Finding<'_>>) =
        findings(markers, places, is_meant).into_iter().partition(|finding| {
            finding
                .marker
                .stands_in(planted::SECRET_AND_KEY.0, planted::SECRET_AND_KEY.1)
        });
    let leaked: Vec<String> = leaked.iter().map(ToString::to_string).collect();
    ensure!(
        leaked.is_empty(),
        "secrets stand where they should not:\n  {}",
        leaked.join("\n  ")
    );
    let seeded: BTreeSet<Kind> = seeded.iter().map(|finding| finding.place.kind).collect();
    ensure!(
        seeded == BTreeSet::from(planted::WHERE),
        "what was let out into {:?} was found in {seeded:?}",
        planted::WHERE
    );
    Ok(())
}

/// Credentials for AWS are handed over by the environment.
fn is_meant(marker: &Marker, place: &Place) -> bool {
    place.kind == Kind::Environments && marker.has_key(FOR_AWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(secret: &str, key: &str, value: &str) -> Marker {
        Marker::new(secret, key, value.as_bytes()).unwrap()
    }

    /// A place of each kind, and the secret that was let out where it was.
    fn places() -> Vec<Place> {
        let text = |kind: &Kind| {
            let word = if planted::WHERE.contains(kind) {
                "let-out-on-purpose"
            } else {
                "nothing"
            };
            Place::new(*kind, format!("{kind:?}"), format!("some {word} text"))
        };
        Kind::ALL.iter().map(text).collect()
    }

    fn markers() -> Vec<Marker> {
        let (secret, key) = planted::SECRET_AND_KEY;
        vec![
            marker(secret, key, "let-out-on-purpose"),
            marker("aws", FOR_AWS, "localsecretkey"),
            marker("brokers", "password", "owner-password"),
        ]
    }

    fn said(places: &[Place]) -> String {
        judge(&markers(), places).unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_said_while_only_what_was_let_out_is_found() {
        judge(&markers(), &places()).unwrap();
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_but_for_credentials_in_an_environment() {
        for kind in Kind::ALL {
            let mut leaking = places();
            leaking.push(Place::new(
                kind,
                "there".to_owned(),
                "password=owner-password;".to_owned(),
            ));
            let said = said(&leaking);
            assert!(said.contains("brokers") && said.contains("there"), "{kind:?}: {said}");
            let mut handed = places();
            handed.push(Place::new(kind, "there".to_owned(), "KEY=localsecretkey".to_owned()));
            assert_eq!(
                judge(&markers(), &handed).is_ok(),
                kind == Kind::Environments,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_search_that_is_blind_somewhere_shows_nothing() {
        for kind in Kind::ALL {
            let mut without = places();
            without.retain(|place| place.kind != kind);
            assert!(said(&without).contains(&format!("nothing was searched of {kind:?}")));
        }
        let mut blind = places();
        for place in &mut blind {
            place.text = "nothing".to_owned();
        }
        assert!(said(&blind).contains("was found in {}"));
    }
}
