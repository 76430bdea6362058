//! Who is who on a network whose topics have numbers where programs have names: learnt of the messages themselves (CS 5.4).

use std::collections::HashMap;

use crate::dialect::json::Value;
use crate::dialect::lorawan::{About, dev_eui, uuid};
use crate::error::{Error, Result};
use crate::ids::DevId;
use crate::sync::Mutex;

/// Devices that are remembered at most: on an open broker anybody may publish of any number.
const MOST: usize = 100_000;
/// Bytes of what messages say of their devices that are remembered at most: what is remembered need not be read again.
const MOST_BYTES: usize = 8 << 20;
/// Applications that are remembered at most.
const MOST_APPLICATIONS: usize = 1000;

/// Where a downlink goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The application's UUID.
    pub(super) application: String,
    pub(super) dev_eui: String,
}

/// Applications and devices.
#[derive(Debug)]
pub(super) struct Directory {
    /// The application as it was given: a UUID, or a name.
    given: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The application's UUID, by the server's own word.
    settled: Option<String>,
    /// By their UUIDs: whether they have the name that was given.
    applications: HashMap<String, bool>,
    /// By their `DevEUI`s.
    devices: HashMap<String, Known>,
    /// `DevEUI`s by what devices are called.
    called: HashMap<String, Vec<String>>,
    /// Bytes of what messages said of the devices.
    bytes: usize,
}

#[derive(Debug)]
struct Known {
    application: String,
    /// What messages call it.
    dev_id: String,
    name: String,
    /// What its latest message said of it; empty where that is not remembered.
    info: Box<str>,
}

/// What a message has told that was not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    /// The message is of another application.
    Foreign,
    /// The application that was given by its name has this UUID.
    Found(String),
    /// There is another application of that name.
    Twin(String, String),
}

impl Directory {
    pub(super) fn new(app_id: &str) -> Self {
        Self { given: app_id.to_owned(), state: Mutex::default() }
    }

    /// The application's UUID, if it is known.
    pub(super) fn application(&self) -> Option<String> {
        uuid(&self.given).or_else(|| {
            let state = self.state.lock();
            if state.settled.is_some() {
                return state.settled.clone();
            }
            let mut own = state.applications.iter().filter(|(_, is_own)| **is_own).map(|(uuid, _)| uuid.clone());
            own.next().filter(|_| own.next().is_none())
        })
    }

    /// The server has said which the application is.
    pub(super) fn settle(&self, application: &str) {
        let mut state = self.state.lock();
        state.applications.retain(|_, is_own| !*is_own);
        state.settled = Some(application.to_owned());
    }

    /// The server has said where a device is.
    pub(super) fn learn(&self, dev_id: &DevId, place: &Place) {
        let mut state = self.state.lock();
        if state.devices.len() < MOST {
            let known = Known {
                application: place.application.clone(),
                dev_id: dev_id.as_str().to_owned(),
                name: String::new(),
                info: Box::default(),
            };
            state.keep(&place.dev_eui, known);
        }
    }

    /// A message came.
    pub(super) fn note(&self, about: &About<'_>, info: Value<'_>) -> News {
        let mut state = self.state.lock();
        if state.has_heard(&self.given, about, info) {
            return News::Nothing;
        }
        let news = state.note_application(&self.given, about);
        if news != News::Foreign {
            state.note_device(about, info);
        }
        news
    }

    /// Where a device is: by what messages call it, by its name, or by its `DevEUI`.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] where several have the name; [`Error::Invalid`] where nobody knows.
    pub(super) fn find(&self, dev_id: &DevId) -> Result<Place> {
        let id = dev_id.as_str();
        let state = self.state.lock();
        let all = state.called.get(id).map_or(&[][..], Vec::as_slice);
        let is_called = |eui: &&String| state.devices.get(*eui).is_some_and(|known| known.dev_id == id);
        let mut found: Vec<&String> = all.iter().filter(is_called).collect();
        if found.is_empty() {
            found = all.iter().collect();
        }
        let eui = dev_eui(id);
        let eui = match (found.as_slice(), &eui) {
            ([eui], _) => eui,
            ([], Some(eui)) => eui,
            ([], None) => {
                let expected = "a device that has been heard since the client connected, or a DevEUI of 16 hex digits: \
                                grpc_address, ChirpStack's API, would know it before that";
                return Err(Error::invalid("dev_id", id, expected));
            }
            (several, _) => {
                let mut several: Vec<&str> = several.iter().map(|eui| eui.as_str()).collect();
                several.sort_unstable();
                let found = format!("devices with the DevEUIs {} are called that", several.join(" and "));
                return Err(Error::Ambiguous { what: "dev_id", value: id.to_owned(), found });
            }
        };
        let (eui, application) = (eui.clone(), state.devices.get(eui.as_str()).map(|known| known.application.clone()));
        drop(state);
        let application = application.or_else(|| self.application()).ok_or_else(|| {
            let expected = "the UUID of an application, until a message of one of that name has come: downlinks have it in \
                            their topic";
            Error::invalid("app_id", self.given.as_str(), expected)
        })?;
        Ok(Place { application, dev_eui: eui })
    }
}

impl State {
    /// Whether a device of the application said the same of itself in its latest message.
    fn has_heard(&self, given: &str, about: &About<'_>, info: Value<'_>) -> bool {
        let (application, eui) = (about.topic.app_id(), about.topic.dev_id());
        let is_own = || match &self.settled {
            _ if application == given => true,
            Some(settled) => settled == application,
            None => self.applications.get(application).is_some_and(|is_own| *is_own),
        };
        let same = |known: &Known| *known.info == *info.raw() && known.application == application;
        self.devices.get(eui).is_some_and(same) && is_own()
    }

    fn note_application(&mut self, given: &str, about: &About<'_>) -> News {
        let uuid = about.topic.app_id();
        if uuid == given {
            return News::Nothing;
        }
        if let Some(settled) = &self.settled {
            return if settled == uuid { News::Nothing } else { News::Foreign };
        }
        if let Some(is_own) = self.applications.get(uuid) {
            return if *is_own { News::Nothing } else { News::Foreign };
        }
        let is_own = about.app_id() == given;
        let twin = self.applications.iter().find(|(_, is_own)| **is_own).map(|(uuid, _)| uuid.clone());
        // One's own is remembered whatever else there is.
        if is_own || self.applications.len() < MOST_APPLICATIONS {
            self.applications.insert(uuid.to_owned(), is_own);
        }
        match (is_own, twin) {
            (false, _) => News::Foreign,
            (true, None) => News::Found(uuid.to_owned()),
            (true, Some(twin)) => News::Twin(twin, uuid.to_owned()),
        }
    }

    fn note_device(&mut self, about: &About<'_>, info: Value<'_>) {
        let (eui, application) = (about.topic.dev_id(), about.topic.app_id());
        let name = info.get("deviceName").and_then(Value::as_str).unwrap_or_default();
        let dev_id = about.dev_id();
        let known = self.devices.get(eui);
        let others = self.bytes - known.map_or(0, |known| known.info.len());
        let info = Some(info.raw()).filter(|info| others + info.len() <= MOST_BYTES).unwrap_or_default();
        let is_same = |known: &Known| {
            (&*known.application, &*known.dev_id, &*known.name, &*known.info) == (application, &*dev_id, &*name, info)
        };
        match known {
            Some(known) if is_same(known) => return,
            None if self.devices.len() >= MOST => return,
            _ => {}
        }
        let known = Known {
            application: application.to_owned(),
            dev_id: dev_id.into_owned(),
            name: name.into_owned(),
            info: info.into(),
        };
        self.keep(eui, known);
    }

    /// Forget what it was called, and remember what it is.
    fn keep(&mut self, eui: &str, known: Known) {
        if let Some(known) = self.devices.get(eui) {
            for called in [known.dev_id.clone(), known.name.clone()] {
                if let Some(euis) = self.called.get_mut(&called) {
                    euis.retain(|other| other != eui);
                    if euis.is_empty() {
                        self.called.remove(&called);
                    }
                }
            }
        }
        for called in [&known.dev_id, &known.name].into_iter().filter(|called| !called.is_empty()) {
            let euis = self.called.entry(called.clone()).or_default();
            if !euis.iter().any(|other| other == eui) {
                euis.push(eui.to_owned());
            }
        }
        self.bytes += known.info.len();
        if let Some(before) = self.devices.insert(eui.to_owned(), known) {
            self.bytes -= before.info.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::json::Document;
    use crate::dialect::lorawan::Network;

    const ONE: &str = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b";
    const OTHER: &str = "d49fa6c7-3dc9-4053-b67b-3417d0872f0b";

    fn hear(directory: &Directory, application: (&str, &str), eui: &str, name: &str, tag: &str) -> News {
        let topic = format!("application/{}/device/{eui}/event/up", application.0);
        let text = format!(
            r#"{{"deviceInfo":{{"applicationName":"{}","deviceName":"{name}","devEui":"{eui}","tags":{{"dev_id":"{tag}"}}}}}}"#,
            application.1
        );
        let document = Document::parse(text.as_bytes()).unwrap();
        let about = Network::ChirpStack.about(Network::ChirpStack.topic(&topic).unwrap(), Some(document.root()));
        directory.note(&about, document.root().get("deviceInfo").unwrap())
    }

    fn find(directory: &Directory, id: &str) -> Result<(String, String)> {
        let place = directory.find(&Network::ChirpStack.dev_id(id).unwrap())?;
        Ok((place.application, place.dev_eui))
    }

    const A: &str = "70b3d57ed005f1a2";
    const B: &str = "70b3d57ed005f1a3";

    #[test]
    fn devices_are_found_by_tag_name_and_eui() {
        let directory = Directory::new(ONE);
        assert!(find(&directory, "soil_03").unwrap_err().to_string().contains("grpc_address"));
        assert_eq!(find(&directory, "70B3D57ED005F1A2").unwrap(), (ONE.to_owned(), A.to_owned()));
        assert_eq!(hear(&directory, (ONE, "green"), A, "soil-probe-03", "soil_03"), News::Nothing);
        for id in ["soil_03", "soil-probe-03", A] {
            assert_eq!(find(&directory, id).unwrap(), (ONE.to_owned(), A.to_owned()), "{id}");
        }
        // Renamed, and another one with the old name.
        hear(&directory, (ONE, "green"), A, "cellar", "");
        hear(&directory, (ONE, "green"), B, "soil-probe-03", "");
        assert_eq!(find(&directory, "cellar").unwrap().1, A);
        assert_eq!(find(&directory, "soil-probe-03").unwrap().1, B);
        assert!(find(&directory, "soil_03").is_err());
        // What messages call it goes before what else it is called.
        hear(&directory, (ONE, "green"), A, "x", "soil-probe-03");
        hear(&directory, (ONE, "green"), B, "soil-probe-03", "y");
        assert_eq!(find(&directory, "soil-probe-03").unwrap().1, A);
        hear(&directory, (ONE, "green"), B, "z", "soil-probe-03");
        let error = find(&directory, "soil-probe-03").unwrap_err().to_string();
        assert!(error.contains(A) && error.contains(B), "{error}");
    }

    #[test]
    fn what_a_device_says_of_itself_is_remembered_within_a_bound() {
        let directory = Directory::new(ONE);
        let bytes = || directory.state.lock().bytes;
        hear(&directory, (ONE, "green"), A, "a", "tag");
        let first = bytes();
        assert!(first > 0);
        hear(&directory, (ONE, "green"), A, "a", "tag");
        hear(&directory, (ONE, "green"), A, "b", "tag");
        assert_eq!(bytes(), first, "the same device");
        for number in 0..20 {
            let eui = format!("{number:016x}");
            let long = "x".repeat(MOST_BYTES / 8);
            hear(&directory, (ONE, "green"), &eui, &long, &format!("tag-{number}"));
            hear(&directory, (ONE, "green"), &eui, &long, &format!("tag-{number}-anew"));
        }
        assert!(bytes() > MOST_BYTES / 2 && bytes() <= MOST_BYTES, "{}", bytes());
        for (id, eui) in [("b", A), ("tag-0-anew", "0000000000000000"), ("tag-19-anew", "0000000000000013")] {
            assert_eq!(find(&directory, id).unwrap().1, eui, "{id}");
        }
        assert!(find(&directory, "tag-19").is_err(), "what it was called before");
    }

    #[test]
    fn the_servers_word_counts() {
        let directory = Directory::new("green");
        hear(&directory, (OTHER, "green"), B, "b", "");
        directory.settle(ONE);
        assert_eq!(directory.application().as_deref(), Some(ONE));
        assert_eq!(hear(&directory, (OTHER, "green"), B, "b", ""), News::Foreign, "a twin");
        assert_eq!(hear(&directory, (ONE, "renamed"), A, "a", ""), News::Nothing);
        let id = Network::ChirpStack.dev_id("never-heard").unwrap();
        directory.learn(&id, &Place { application: ONE.to_owned(), dev_eui: B.to_owned() });
        assert_eq!(find(&directory, "never-heard").unwrap(), (ONE.to_owned(), B.to_owned()));
    }

    #[test]
    fn an_application_is_found_by_its_name_and_others_are_not_heard() {
        let directory = Directory::new("green");
        assert!(find(&directory, A).unwrap_err().to_string().contains("UUID"));
        assert_eq!(hear(&directory, (OTHER, "red"), B, "b", ""), News::Foreign);
        assert_eq!(directory.application(), None);
        assert_eq!(hear(&directory, (ONE, "green"), A, "a", ""), News::Found(ONE.to_owned()));
        assert_eq!(hear(&directory, (ONE, "green"), A, "a", ""), News::Nothing);
        assert_eq!(directory.application().as_deref(), Some(ONE));
        assert!(find(&directory, "b").is_err(), "of another application");
        assert_eq!(find(&directory, B).unwrap(), (ONE.to_owned(), B.to_owned()));
        assert_eq!(hear(&directory, (OTHER, "red"), B, "b", ""), News::Foreign);
        let twin = "e49fa6c7-3dc9-4053-b67b-3417d0872f0b";
        assert_eq!(hear(&directory, (twin, "green"), B, "b", ""), News::Twin(ONE.to_owned(), twin.to_owned()));
        assert_eq!(directory.application(), None);
        assert_eq!(find(&directory, "b").unwrap(), (twin.to_owned(), B.to_owned()));
    }
}
