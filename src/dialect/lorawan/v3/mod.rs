//! The Things Stack V3 (V3 2 of the wire contract): topics `v3/<app>[@<tenant>]/devices/<dev>/…`, its JSON in V2's shape.

mod downlink;
mod event;
mod told;
mod uplink;

use super::fields::Fields;
use super::hosted;
use super::model::{EventKind, Filter, Topic};
use crate::error::{Error, Result};
use crate::ids::{AccessKey, AppId, DevId, is_access_key, is_stack_id};

pub use self::downlink::{MAX_ATTEMPTS, check_correlation_id, correlation_id, priority};
pub(super) use self::downlink::{check_publication, downlink, token};
pub(super) use self::event::{event, failure};
pub(super) use self::told::told;
pub use self::told::{UPLINK, published_to, take_uplinks_alone};
pub(super) use self::uplink::{direct, single_field};

/// Of an uplink (V3 2.5).
pub(super) const FIELDS: Fields = Fields {
    payload: &["uplink_message", "frm_payload"],
    port: &["uplink_message", "f_port"],
    received_at: &["uplink_message", "received_at"],
};

/// What the stack calls an event on a topic, and what callbacks call it: V2's name where V2 has the event (V3 4.3).
const NAMES: [(&str, &str); 10] = [
    ("join", "activations"),
    ("down/queued", "down/scheduled"),
    ("down/sent", "down/sent"),
    ("down/ack", "down/acks"),
    ("down/failed", "down/errors"),
    ("down/nack", "down/nack"),
    ("down/invalidated", "down/invalidated"),
    ("location/solved", "location/solved"),
    ("service/data", "service/data"),
    ("up/normalized", "up/normalized"),
];

/// Names of events.
pub(super) const EVENT_NAMES: [&str; NAMES.len()] = {
    let mut names = [""; NAMES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = NAMES[at].1;
        at += 1;
    }
    names
};

/// Events of V2 that V3 tells nobody over MQTT.
pub(super) const UNTOLD: [&str; 5] = ["activations/errors", "create", "update", "delete", "up/errors"];

/// The name of an event as callbacks have it, from either spelling.
pub(super) fn event_name(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(wire, own)| *wire == name || *own == name).map(|(_, own)| *own)
}

/// What the stack calls the event.
fn wire_name(name: &str) -> &str {
    NAMES.iter().find(|(_, own)| *own == name).map_or(name, |(wire, _)| *wire)
}

pub(super) fn event_kind(name: &str) -> EventKind {
    match name {
        "activations" => EventKind::Activation,
        name if name.starts_with("down/") => EventKind::Downlink,
        _ => EventKind::Other,
    }
}

pub(super) fn login(app_id: &AppId, access_key: &AccessKey) -> (String, AccessKey) {
    (app_id.as_str().to_owned(), access_key.clone())
}

/// The application without its tenant.
pub(super) fn plain(app_id: &str) -> &str {
    app_id.split_once('@').map_or(app_id, |(plain, _)| plain)
}

/// Check an application, `app` or `app@tenant`, and give it the tenant of a hosted server where it has none.
pub(super) fn app_id(app_id: AppId, host: Option<&str>) -> Result<AppId> {
    let text = app_id.as_str();
    let (plain, tenant) = text.split_once('@').map_or((text, None), |(plain, tenant)| (plain, Some(tenant)));
    if !is_stack_id(plain) || tenant.is_some_and(|tenant| !is_stack_id(tenant)) {
        return Err(Error::invalid("app_id", text, APP_ID));
    }
    match (tenant, host.and_then(hosted::tenant)) {
        (None, Some(tenant)) => AppId::new(format!("{plain}@{tenant}")),
        _ => Ok(app_id),
    }
}

const APP_ID: &str = "an application of The Things Stack V3, \"app\" or \"app@tenant\": 3 to 36 lower-case letters and digits \
                      with single '-' between them; IDs of V2 with '_' do not exist there";

const DEV_ID: &str = "a device of The Things Stack V3: 3 to 36 lower-case letters and digits with single '-' between them; \
                      IDs of V2 with '_' do not exist there";

pub(super) fn dev_id(id: String) -> Result<DevId> {
    // Of a key in its place the general check tells.
    if is_stack_id(&id) || is_access_key(&id) { DevId::new(id) } else { Err(Error::invalid("dev_id", id, DEV_ID)) }
}

/// A refused login in words of what may be behind it (V3 2.1): the stack has one code for almost everything.
pub(super) fn refused(code: u8, app_id: &AppId, host: &str) -> Error {
    let (login, plain) = (app_id.as_str(), plain(app_id.as_str()));
    let text = match code {
        1 => "The Things Stack refuses the version of MQTT (code 1)".to_owned(),
        3 => "The Things Stack refuses the login for now: too many logins, or too many connections of the application \
              (code 3)"
            .to_owned(),
        // A stack says 5 in its place.
        4 => "the server refuses the login (code 4), which The Things Stack V3 does not do with this code: is it one of The \
              Things Network V2, or a broker of another kind?"
            .to_owned(),
        code => {
            let tenant = match (login == plain, hosted::is_hosted(host)) {
                (false, false) => format!("a stack of one's own has no tenants as a rule: is {plain:?} meant?"),
                (true, true) => format!("on a hosted stack the tenant is named, as in \"{plain}@ttn\""),
                (false, true) => "is the tenant the right one, and is the application in this cluster?".to_owned(),
                (true, false) => format!("a stack with tenants wants \"{plain}@tenant\""),
            };
            format!(
                "The Things Stack refuses the login of {login:?} (code {code}): the API key is unknown, has expired or is of \
                 another application, or the Identity Server is away; {tenant}"
            )
        }
    };
    Error::Refused { code, text: text.into() }
}

/// Why a server may refuse the login of this key; empty where nothing is wrong with it.
pub(super) fn hint(access_key: &AccessKey) -> &'static str {
    let key = access_key.reveal();
    let is_part = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    match key.strip_prefix("NNSXS.").map(|parts| parts.split_once('.')) {
        _ if key.is_empty() => ": the access key is empty",
        _ if key.trim() != key => ": the access key has blanks around it",
        None => ": API keys of The Things Stack V3 begin with NNSXS., and keys of V2 are not valid there",
        Some(Some((id, secret))) if is_part(id, 39) && is_part(secret, 52) => "",
        Some(_) => {
            ": this is no whole API key of The Things Stack V3, which is NNSXS., 39 capital letters and digits, a dot, and 52 \
             more of them"
        }
    }
}

/// Why a server may refuse the topics of a client with this key.
pub(super) fn topic_hint(access_key: &AccessKey) -> &'static str {
    match hint(access_key) {
        "" => {
            ": The Things Stack V3 refuses topics of another application or tenant; a server of V2 refuses all topics of V3"
        }
        hint => hint,
    }
}

/// Read a topic (V3 2.3).
pub(super) fn topic(topic: &str) -> Option<Topic<'_>> {
    let (login, rest) = topic.strip_prefix("v3/")?.split_once('/')?;
    let app_id = plain(login);
    let (dev_id, rest) = rest.strip_prefix("devices/")?.split_once('/')?;
    Some(match rest {
        "up" => Topic::Uplink { app_id, dev_id },
        "down/push" | "down/replace" => Topic::Downlink { app_id, dev_id },
        name => Topic::Event { app_id, dev_id, name: event_name(name).unwrap_or(name) },
    })
}

/// The MQTT topic filters (V3 2.2). Single fields are taken out of the uplinks.
pub(super) fn filters(app_id: &AppId, filter: &Filter) -> Vec<String> {
    let (dev_id, ends): (_, Vec<&str>) = match filter {
        Filter::Uplink(dev_id) | Filter::Field(dev_id, _) => (dev_id, vec!["up"]),
        Filter::Event(dev_id, Some(name)) if UNTOLD.contains(&name.as_str()) => (dev_id, vec![]),
        Filter::Event(dev_id, Some(name)) => (dev_id, vec![wire_name(name)]),
        Filter::Event(dev_id, None) => {
            (dev_id, vec!["join", "down/#", "location/solved", "service/data", "up/normalized"])
        }
        Filter::Any(filter) => return vec![filter.clone()],
    };
    let dev_id = dev_id.as_ref().map_or("+", DevId::as_str);
    ends.into_iter().map(|end| format!("v3/{app_id}/devices/{dev_id}/{end}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Network;
    use super::*;

    fn app() -> AppId {
        AppId::new("greenhouse-7@ttn").unwrap()
    }

    fn dev() -> DevId {
        DevId::new("soil-probe-03").unwrap()
    }

    #[test]
    fn topics_of_the_contract_are_read() {
        let (app_id, dev_id) = ("a-1", "d-1");
        for (end, expected) in [
            ("up", Topic::Uplink { app_id, dev_id }),
            ("join", Topic::Event { app_id, dev_id, name: "activations" }),
            ("down/queued", Topic::Event { app_id, dev_id, name: "down/scheduled" }),
            ("down/ack", Topic::Event { app_id, dev_id, name: "down/acks" }),
            ("down/failed", Topic::Event { app_id, dev_id, name: "down/errors" }),
            ("down/nack", Topic::Event { app_id, dev_id, name: "down/nack" }),
            ("up/normalized", Topic::Event { app_id, dev_id, name: "up/normalized" }),
            ("what/is/new", Topic::Event { app_id, dev_id, name: "what/is/new" }),
            ("down/push", Topic::Downlink { app_id, dev_id }),
        ] {
            for login in ["a-1", "a-1@ttn"] {
                assert_eq!(Network::V3.topic(&format!("v3/{login}/devices/d-1/{end}")), Some(expected), "{end}");
            }
        }
        for other in ["a-1/devices/d-1/up", "v3/a-1/devices/d-1", "v3/a-1", "v3/", ""] {
            assert_eq!(Network::V3.topic(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_wanted_is_asked_for_in_either_spelling() {
        let filters = |filter| Network::V3.filters(&app(), &filter);
        let start = "v3/greenhouse-7@ttn/devices";
        assert_eq!(filters(Filter::Uplink(None)), [format!("{start}/+/up")]);
        assert_eq!(filters(Filter::Field(Some(dev()), "a/b".into())), [format!("{start}/soil-probe-03/up")]);
        for name in ["down/acks", "down/ack"] {
            let name = Network::V3.event_name(name).map(str::to_owned);
            assert_eq!(filters(Filter::Event(None, name)), [format!("{start}/+/down/ack")]);
        }
        assert!(filters(Filter::Event(None, Some("create".into()))).is_empty());
        assert_eq!(filters(Filter::Event(None, None)).len(), 5);
        assert_eq!(filters(Filter::Any("v3/+/#".into())), ["v3/+/#"]);
    }

    #[test]
    fn every_event_name_has_a_kind() {
        for name in Network::V3.event_names() {
            assert!(
                Network::V3.event_name(name) == Some(name) && wire_name(name) != *name || event_name(name).is_some()
            );
        }
        assert_eq!(Network::V3.event_kind("activations"), EventKind::Activation);
        assert_eq!(Network::V3.event_kind("down/nack"), EventKind::Downlink);
        assert_eq!(Network::V3.event_kind("location/solved"), EventKind::Other);
    }

    #[test]
    fn the_tenant_comes_from_the_host_unless_it_is_given() {
        for (given, host, expected) in [
            ("app-1", Some("eu1.cloud.thethings.network"), "app-1@ttn"),
            ("app-1@acme", Some("eu1.cloud.thethings.network"), "app-1@acme"),
            ("app-1", Some("acme.eu1.cloud.thethings.industries"), "app-1@acme"),
            ("app-1", Some("stack.example"), "app-1"),
            ("app-1", None, "app-1"),
        ] {
            let given = AppId::new(given).unwrap();
            assert_eq!(Network::V3.app_id(given, host).unwrap().as_str(), expected);
        }
        for bad in ["my_app", "ab", "App-1", "app-1@", "app-1@a@b", "app--1"] {
            let error = Network::V3.app_id(AppId::new(bad).unwrap(), None).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("V2 with '_'"), "{error}");
        }
        assert_eq!(Network::V3.plain(&app()), "greenhouse-7");
    }

    #[test]
    fn what_is_wrong_with_a_key_is_seen_before_its_topics() {
        let whole = format!("NNSXS.{}.{}", "A1".repeat(19) + "B", "C2".repeat(26));
        let hint = |key: &str| Network::V3.hint(&AccessKey::new(key));
        assert_eq!(hint(&whole), "");
        assert!(Network::V3.topic_hint(&AccessKey::new(&*whole)).contains("tenant"));
        for (key, words) in [
            ("", "empty"),
            (&*format!("{whole} "), "blanks"),
            (&*format!(" {whole}"), "blanks"),
            ("ttn-account-v2.5ec7e7", "NNSXS."),
            (&whole[..whole.len() - 1], "no whole API key"),
            (&*whole.replace('C', "c"), "no whole API key"),
            ("NNSXS.", "no whole API key"),
        ] {
            assert!(hint(key).contains(words), "{key}: {}", hint(key));
            assert_eq!(Network::V3.topic_hint(&AccessKey::new(key)), hint(key));
        }
    }

    #[test]
    fn a_refused_login_names_the_tenant_where_that_may_be_why() {
        let text = |app: &str, host| Network::V3.refused(5, &AppId::new(app).unwrap(), host).to_string();
        let hosted = "eu1.cloud.thethings.network";
        assert!(text("app-1@ttn", "stack.example").contains("is \"app-1\" meant"), "a tenant too many");
        assert!(text("app-1", hosted).contains("\"app-1@ttn\""), "a tenant too few");
        assert!(text("app-1@ttn", hosted).contains("this cluster") && text("app-1", "h").contains("app-1@tenant"));
        assert!(text("app-1", "h").contains("code 5") && text("app-1", "h").contains("Identity Server"));
        let other = Network::V3.refused(4, &AppId::new("app-1").unwrap(), "h").to_string();
        assert!(other.contains("code 4") && other.contains("Things Network V2"), "{other}");
    }
}
