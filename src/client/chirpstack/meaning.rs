//! What the server's errors mean (CS 4.3): it has one code for what is not there and for what a key may not do, and one for
//! all that its database says.

use crate::error::{Error, RpcCode};

/// What is said of the code that stands for both.
const NEITHER: &str = "not found, or not allowed for this API key: ChirpStack says the same of both";

/// Of constraints that a new row does not keep: `PostgreSQL`'s words, and `SQLite`'s.
const TAKEN: [&str; 2] = ["duplicate key value", "UNIQUE constraint"];

/// The error in the words, and with the code, that say what it is.
pub(super) fn explain(error: Error) -> Error {
    let Error::Rpc { code, details, reported } = error else { return error };
    let says = |words: &str| details.contains(words);
    let (code, details) = match code {
        RpcCode::Unauthenticated if details.is_empty() => (code, NEITHER.to_owned()),
        RpcCode::Unauthenticated => (code, format!("{details}: is access_key an API key of this ChirpStack?")),
        RpcCode::Internal if TAKEN.into_iter().any(says) => (
            RpcCode::AlreadyExists,
            format!("the server has it already, in this application or in another ({details})"),
        ),
        RpcCode::Internal if says("device_profile_id_fkey") => {
            (RpcCode::NotFound, format!("there is no such device profile ({details})"))
        }
        RpcCode::Internal if details == "Record not found" => {
            (RpcCode::NotFound, format!("there is no such application ({details})"))
        }
        _ => (code, details),
    };
    Error::Rpc { code, details, reported }
}

/// Whether the server has not told what is wrong.
pub(super) fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Rpc { details, .. } if details == NEITHER)
}

/// What its silence means of something that is there.
pub(super) fn not_allowed() -> Error {
    let words = "not allowed for this API key, which may read: is it a read-only key?";
    Error::rpc(RpcCode::PermissionDenied, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: RpcCode, details: &str) -> (RpcCode, String) {
        let Error::Rpc { code, details, .. } = explain(Error::rpc(code, details)) else { panic!("another error") };
        (code, details)
    }

    #[test]
    fn silence_about_the_reason_is_put_into_words() {
        let silence = explain(Error::rpc(RpcCode::Unauthenticated, ""));
        assert!(is_silence(&silence) && silence.to_string().contains("not found, or not allowed"));
        let (_, words) = explained(RpcCode::Unauthenticated, "InvalidToken");
        assert!(words.contains("InvalidToken: is access_key"));
        assert!(matches!(explain(Error::NotConnected), Error::NotConnected));
    }

    #[test]
    fn what_the_database_says_has_the_code_of_what_it_is() {
        for (details, code) in [
            ("duplicate key value violates unique constraint \"device_pkey\"", RpcCode::AlreadyExists),
            ("UNIQUE constraint failed: device.dev_eui", RpcCode::AlreadyExists),
            (
                "insert or update on table \"device\" violates foreign key constraint \"device_device_profile_id_fkey\"",
                RpcCode::NotFound,
            ),
            ("Record not found", RpcCode::NotFound),
            ("value too long for type character varying(100)", RpcCode::Internal),
        ] {
            let (told, words) = explained(RpcCode::Internal, details);
            assert_eq!(told, code, "{details}");
            assert!(words.contains(details), "{words}");
        }
    }
}
