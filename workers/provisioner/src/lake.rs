//! The lake's tables that are there already: whose they are, and whether the contract goes on from Bronze. Reads S3; writes nothing.

use futures::{StreamExt, TryStreamExt, stream};
use medallion_contract::{CONTRACT_DOMAIN, Contract, Rules};
use medallion_lake::{Claim, LakeError, LakeStore};

use crate::claimant::Claimant;
use crate::finding::Finding;

/// So many tables are looked at at once. All are: in a bucket that pipelines share there are more than one of them can have.
const AT_ONCE: usize = 8;
/// So many tables are named in a message.
const NAMED: usize = 5;

/// What Bronze says: of its owner, and of the contract.
#[derive(Debug, Eq, PartialEq)]
pub struct Bronze {
    /// Of the bucket and the table in it.
    pub table: Finding,
    /// Of the contract that is to go on from it.
    pub contract: Finding,
}

/// Looks at the Bronze table, if there is one.
pub async fn bronze(store: &LakeStore, address: &str, contract: Option<&Contract>, claimant: Claimant<'_>) -> Bronze {
    let found = async { store.table(address)?.snapshot().await }.await;
    let snapshot = match found {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => {
            return Bronze {
                table: Finding::Exists,
                contract: Finding::Exists,
            };
        }
        Err(error) => {
            return Bronze {
                table: unknown(address, &error),
                contract: unknown(address, &error),
            };
        }
    };
    let claim = Claim::new(claimant.owner.to_string(), claimant.adopt.iter().cloned());
    let table = match claim.check(&snapshot) {
        Ok(()) => Finding::Exists,
        Err(error) => Finding::Differs(error.to_string()),
    };
    let rules = Rules::read(snapshot.position(CONTRACT_DOMAIN));
    let contract = match contract.map(|contract| contract.adds_to(snapshot.schema(), rules.as_ref())) {
        Some(Err(differences)) => Finding::Differs(format!("it does not go on from {address}: {differences}")),
        Some(Ok(())) | None => Finding::Exists,
    };
    Bronze { table, contract }
}

/// Looks whose the tables of Silver or Gold are. Of the dbt project's models only those that the spec names are known here;
/// the runner refuses another's table of the same name, whatever it is, before it writes.
pub async fn layer(store: &LakeStore, address: &str, named: &[String], claimant: Claimant<'_>) -> Finding {
    match owners(store, address).await {
        Ok(owners) => judge(address, &owners, named, claimant),
        Err(error) => unknown(address, &error),
    }
}

async fn owners(store: &LakeStore, address: &str) -> Result<Vec<(String, String)>, LakeError> {
    let folders = store.tables(address).await?;
    let looks = stream::iter(folders).map(|(name, table)| async move {
        let snapshot = table.snapshot().await?;
        let owner = snapshot.and_then(|snapshot| snapshot.owner().map(str::to_owned));
        Ok::<_, LakeError>(owner.map(|owner| (name, owner)))
    });
    looks
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// A layer in which only others have tables is another pipeline's, most likely by mistake. One in which we have tables
/// beside those of others is shared knowingly.
fn judge(address: &str, owners: &[(String, String)], named: &[String], claimant: Claimant<'_>) -> Finding {
    let mut others: Vec<&(String, String)> = owners.iter().filter(|(_, owner)| claimant.is_refused(owner)).collect();
    others.sort_by(|one, two| (&one.1, &one.0).cmp(&(&two.1, &two.0)));
    let Some((_, owner)) = others.first() else {
        return Finding::Exists;
    };
    let theirs: Vec<&str> = others
        .iter()
        .filter(|(_, other)| other == owner)
        .map(|(name, _)| name.as_str())
        .collect();
    let more = theirs.len().saturating_sub(NAMED);
    let mut tables = theirs[..theirs.len() - more].join(", ");
    if more > 0 {
        tables = format!("{tables} and {more} more");
    }
    let taken = others.iter().find(|(name, _)| named.contains(name));
    if let Some((name, owner)) = taken {
        return Finding::Differs(format!(
            "table {name} of {address} belongs to the Pipeline {owner}: use another bucket or another name, or, to take it \
             over, set the annotation medallion.dev/adopt: {owner}"
        ));
    }
    if owners.iter().any(|(_, owner)| claimant.is_own(owner)) {
        return Finding::Noted(format!(
            "{address} also holds tables of the Pipeline {owner}: {tables}; a model of one of these theirs is refused"
        ));
    }
    Finding::Differs(format!(
        "{address} holds tables of the Pipeline {owner} alone: {tables}; use another bucket, or, to share this one or to take \
         these tables over, set the annotation medallion.dev/adopt: {owner}"
    ))
}

fn unknown(address: &str, error: &LakeError) -> Finding {
    Finding::Unknown(format!("tables of {address} cannot be looked at: {error}"))
}

#[cfg(test)]
mod tests {
    use medallion_contract::Pointers;
    use medallion_crds::Owner;

    use super::*;

    const US: &str = "0b7c/shop/orders";
    const OTHER: &str = "0b7c/shop/payments";

    fn judged(tables: &[(&str, &str)], adopt: &[&str]) -> Finding {
        let owners: Vec<(String, String)> = tables
            .iter()
            .map(|(name, owner)| ((*name).to_owned(), (*owner).to_owned()))
            .collect();
        let owner: Owner = US.parse().expect("an owner");
        let adopt: Vec<String> = adopt.iter().map(ToString::to_string).collect();
        let claimant = Claimant {
            owner: &owner,
            adopt: &adopt,
        };
        judge("s3://gold", &owners, &["daily_sales".to_owned()], claimant)
    }

    #[test]
    fn a_layer_of_ours_or_nobodys_is_fine() {
        assert_eq!(judged(&[], &[]), Finding::Exists);
        assert_eq!(judged(&[("orders", US)], &[]), Finding::Exists);
    }

    #[test]
    fn a_layer_of_another_alone_is_refused_with_its_tables_and_the_fix() {
        let Finding::Differs(message) = judged(&[("sales", OTHER), ("orders", OTHER)], &["0b7c/shop/else"]) else {
            panic!("it is another's");
        };
        for words in ["s3://gold", "orders, sales", "medallion.dev/adopt: 0b7c/shop/payments"] {
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(judged(&[("orders", OTHER)], &[OTHER]), Finding::Exists, "it is named");
    }

    #[test]
    fn a_layer_that_is_shared_is_reported() {
        let many: Vec<String> = (0..9).map(|number| format!("table_{number}")).collect();
        let mut tables: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), OTHER)).collect();
        tables.push(("ours", US));
        let Finding::Noted(message) = judged(&tables, &[]) else {
            panic!("it is shared");
        };
        assert!(
            message.contains("table_4 and 4 more") && message.contains(OTHER),
            "{message}"
        );
        tables.push(("daily_sales", OTHER));
        let Finding::Differs(message) = judged(&tables, &[]) else {
            panic!("one is a table that the spec names");
        };
        assert!(message.contains("daily_sales"), "{message}");
    }

    fn contract(properties: &str) -> Contract {
        let schema = format!(
            r#"{{"type":"object","required":["id","part","at"],"properties":{{"id":{{"type":"string"}},"part":{{"type":"integer"}},
            "at":{{"type":"string","format":"date-time"}}{properties}}}}}"#
        );
        let pointers = Pointers {
            key: "/part",
            event_id: "/id",
            event_time: "/at",
            event_version: None,
        };
        Contract::compile(&schema, &pointers).expect("a contract")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bronze_tells_of_its_owner_and_of_what_does_not_go_on_from_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("file://{}/bronze/orders", folder.path().display());
        let store = LakeStore::local().expect("a store");
        let (us, other): (Owner, Owner) = (US.parse().expect("us"), OTHER.parse().expect("another"));
        let look = async |owner: &Owner, contract: &Contract, adopt: &[String]| {
            let claimant = Claimant { owner, adopt };
            bronze(&store, &address, Some(contract), claimant).await
        };
        let first = contract(r#","amount":{"type":"integer"}"#);
        assert_eq!(
            look(&us, &first, &[]).await,
            Bronze {
                table: Finding::Exists,
                contract: Finding::Exists
            },
            "there is no table yet"
        );

        let claim = Claim::new(us.to_string(), []);
        let table = store.table(&address).expect("a table").claimed(&claim);
        let base = table
            .open_or_create(&first.bronze_table_schema(), &[medallion_contract::PARTITION_COLUMN])
            .await
            .expect("made");
        let added = contract(r#","amount":{"type":"integer"},"note":{"type":"string"}"#);
        for good in [&first, &added] {
            assert_eq!(look(&us, good, &[]).await.contract, Finding::Exists);
        }
        let changed = contract(r#","amount":{"type":"string"}"#);
        let found = look(&us, &changed, &[]).await;
        assert_eq!(found.table, Finding::Exists);
        let Finding::Differs(message) = found.contract else {
            panic!("it does not go on");
        };
        assert!(message.contains("amount") && message.contains(&address), "{message}");

        let narrower = contract(r#","amount":{"type":"integer","maximum":9}"#);
        assert_eq!(
            look(&us, &narrower, &[]).await.contract,
            Finding::Exists,
            "by the columns"
        );
        let noted = medallion_lake::Change::default().position(CONTRACT_DOMAIN, first.rules().to_position());
        table.commit(&base, &noted).await.expect("noted");
        assert_eq!(look(&us, &added, &[]).await.contract, Finding::Exists);
        let Finding::Differs(message) = look(&us, &narrower, &[]).await.contract else {
            panic!("events on their way would be refused");
        };
        assert!(message.contains("property amount is checked otherwise"), "{message}");

        let found = look(&other, &first, &[]).await;
        let Finding::Differs(message) = found.table else {
            panic!("it is another's");
        };
        assert!(message.contains(US), "{message}");
        let adopted = look(&other, &first, &[US.to_owned()]).await;
        assert_eq!(adopted.table, Finding::Exists);

        let claimant = Claimant {
            owner: &other,
            adopt: &[],
        };
        let layer_address = format!("file://{}/bronze", folder.path().display());
        assert!(matches!(
            layer(&store, &layer_address, &[], claimant).await,
            Finding::Differs(_)
        ));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ours_is_seen_behind_any_number_of_tables_of_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("file://{}/gold", folder.path().display());
        let store = LakeStore::local().expect("a store");
        let schema = contract("").bronze_table_schema();
        let make = async |name: &str, owner: &str| {
            let claim = Claim::new(owner, []);
            let table = store.table(&format!("{address}/{name}")).expect("a table");
            let made = table
                .claimed(&claim)
                .open_or_create(&schema, &[medallion_contract::PARTITION_COLUMN])
                .await;
            made.expect("made");
        };
        for number in 0..64 {
            make(&format!("table_{number:02}"), OTHER).await;
        }
        make("zebras", US).await;
        let us: Owner = US.parse().expect("us");
        let claimant = Claimant { owner: &us, adopt: &[] };
        let found = layer(&store, &address, &[], claimant).await;
        assert!(matches!(found, Finding::Noted(_)), "it is shared: {found:?}");
        let mine = ["zebras".to_owned(), "table_63".to_owned()];
        let Finding::Differs(message) = layer(&store, &address, &mine, claimant).await else {
            panic!("one of another's is wanted");
        };
        assert!(message.contains("table_63"), "{message}");
    }
}
