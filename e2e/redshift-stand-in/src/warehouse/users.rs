//! Database users as temporary credentials give them, one for each identity that calls; talks to PostgreSQL.

use std::collections::HashSet;

use tokio::sync::Mutex;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

use super::session::Session;
use crate::sql::create_user::PASSWORD;

/// The users of one database.
pub struct Users {
    /// The identity that made the warehouse, which is a superuser there.
    administrator: String,
    config: Config,
    /// Those that can log in by [`PASSWORD`].
    known: Mutex<HashSet<String>>,
}

/// The database user of an IAM identity.
pub fn user_of(caller: &str) -> String {
    format!("IAM:{caller}")
}

impl Users {
    /// `config` is the administrator's connection.
    pub fn new(administrator: &str, config: Config) -> Self {
        Self {
            administrator: administrator.to_owned(),
            config,
            known: Mutex::default(),
        }
    }

    pub fn administrator(&self) -> &Config {
        &self.config
    }

    /// The connection of a caller. Its user is made with its first statement, as Redshift does, and has no rights then.
    pub async fn of(&self, caller: &str) -> Result<Config, String> {
        if caller == self.administrator {
            return Ok(self.config.clone());
        }
        let user = user_of(caller);
        let mut known = self.known.lock().await;
        if !known.contains(&user) {
            self.make(&user).await?;
            known.insert(user.clone());
        }
        let mut config = self.config.clone();
        config.user(user).password(PASSWORD);
        Ok(config)
    }

    async fn make(&self, user: &str) -> Result<(), String> {
        let session = Session::open(&self.config).await?;
        let name = format!("\"{}\"", user.replace('"', "\"\""));
        let login = format!("{name} LOGIN PASSWORD '{PASSWORD}'");
        match session.client.batch_execute(&format!("CREATE ROLE {login}")).await {
            Ok(()) => Ok(()),
            // Somebody has made it by hand, with CREATE USER.
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_OBJECT) => {
                let altered = session.client.batch_execute(&format!("ALTER ROLE {login}")).await;
                altered.map_err(|error| session.describe(&error))
            }
            Err(error) => Err(session.describe(&error)),
        }
    }
}
