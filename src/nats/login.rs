//! As whom to come to a NATS server.

use crate::error::{Error, Result};
use crate::ids::AccessKey;

/// One way to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// The server asks for nothing.
    #[default]
    Nobody,
    /// A user and a password of the server's configuration.
    User {
        /// The user.
        name: String,
        /// The password.
        password: AccessKey,
    },
    /// The server's token.
    Token(AccessKey),
    /// The seed of an nkey, which begins with `SU`.
    Nkey(AccessKey),
    /// The text of a credentials file, which holds a JWT and a seed.
    Credentials(AccessKey),
}

impl Login {
    /// The one way that is given.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than one way, half of one, or what has not its form; no secret is shown.
    pub fn of(
        user: Option<String>,
        password: Option<AccessKey>,
        token: Option<AccessKey>,
        nkey: Option<AccessKey>,
        credentials: Option<AccessKey>,
    ) -> Result<Self> {
        let given = [user.is_some(), token.is_some(), nkey.is_some(), credentials.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            let expected = "one of nats_user with nats_password, nats_token, nats_nkey and nats_credentials";
            return Err(Error::invalid("NATS login", "several ways", expected));
        }
        let login = match (user, password, token, nkey, credentials) {
            (Some(name), Some(password), ..) => Self::User { name, password },
            (Some(name), None, ..) => return Err(Error::invalid("nats_user", name, "nats_password beside it")),
            (None, Some(_), ..) => return Err(Error::invalid("nats_password", "***", "nats_user beside it")),
            (_, _, Some(token), ..) => Self::Token(token),
            (_, _, _, Some(seed), _) => Self::Nkey(AccessKey::new(seed.reveal().trim())),
            (_, _, _, _, Some(text)) => Self::Credentials(text),
            _ => Self::Nobody,
        };
        login.check()?;
        Ok(login)
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Nkey(seed) if nkeys::KeyPair::from_seed(seed.reveal()).is_err() => {
                Err(Error::invalid("nats_nkey", "***", "the seed of a user's nkey, which begins with SU"))
            }
            // async-nats reads it when it connects, and its words would not say which file is meant.
            Self::Credentials(text)
                if !text.reveal().contains("BEGIN NATS USER JWT")
                    || !text.reveal().contains("BEGIN USER NKEY SEED") =>
            {
                let expected = "a credentials file of NATS, with a user's JWT and the seed of an nkey";
                Err(Error::invalid("nats_credentials", "***", expected))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> AccessKey {
        AccessKey::new(text)
    }

    #[test]
    fn one_way_is_taken() {
        assert_eq!(Login::of(None, None, None, None, None).unwrap(), Login::Nobody);
        let user = Login::of(Some("me".into()), Some(key("x")), None, None, None).unwrap();
        assert_eq!(user, Login::User { name: "me".into(), password: AccessKey::new("x") });
        assert!(matches!(Login::of(None, None, Some(key("t")), None, None), Ok(Login::Token(_))));
        let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n";
        assert!(matches!(Login::of(None, None, None, Some(key(seed)), None), Ok(Login::Nkey(_))));
    }

    #[test]
    fn what_does_not_fit_is_refused_without_a_secret() {
        let refused = [
            Login::of(Some("me".into()), None, None, None, None),
            Login::of(None, Some(key("S3CRET")), None, None, None),
            Login::of(Some("me".into()), Some(key("S3CRET")), Some(key("S3CRET")), None, None),
            Login::of(None, None, None, Some(key("SUS3CRET")), None),
            Login::of(None, None, None, None, Some(key("S3CRET"))),
        ];
        for outcome in refused {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("nats_") && !error.contains("S3CRET"), "{error}");
        }
    }
}
