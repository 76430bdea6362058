//! Topics of a server whose configuration writes them in a way of its own, `event_topic` and `command_topic` (CS 3.2). Within
//! the library all topics have the server's default form, which [`super::topic`] reads; these lead there and back.

use std::borrow::Cow;

use crate::error::{Error, Result};

const EVENT: &str = "event_topic of the server's configuration, such as \
                     \"application/{{application_id}}/device/{{dev_eui}}/event/{{event}}\": each of the three once, as a level \
                     of its own";
const COMMAND: &str = "command_topic of the server's configuration, such as \
                       \"application/{{application_id}}/device/{{dev_eui}}/command/{{command}}\": each of the three once, as a \
                       level of its own";

/// How a server writes its topics; by default in its default form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    event: Option<Template>,
    command: Option<Template>,
}

/// Topics of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template(Vec<Level>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Text(String),
    /// One of what a topic tells, by its place in [`Told`].
    Told(usize),
}

/// The application, the device, and the event or command.
type Told<'a> = [&'a str; 3];

impl Topics {
    /// Read both as the server's configuration has them: `{{application_id}}`, `{{dev_eui}}`, and `{{event}}` or
    /// `{{command}}`, each a level of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the one that cannot be used.
    pub fn new(event: Option<&str>, command: Option<&str>) -> Result<Self> {
        let event = event.map(|text| Template::read("event_topic", text, "event", EVENT)).transpose()?;
        let command = command.map(|text| Template::read("command_topic", text, "command", COMMAND)).transpose()?;
        Ok(Self { event, command })
    }

    /// A topic, or a filter for one, as the server writes it.
    #[must_use]
    #[inline]
    pub fn of_server<'a>(&self, topic: &'a str) -> Cow<'a, str> {
        // Each message that comes is asked of.
        if self.event.is_none() && self.command.is_none() {
            return topic.into();
        }
        self.write(topic)
    }

    fn write<'a>(&self, topic: &'a str) -> Cow<'a, str> {
        let mut levels = topic.split('/');
        let levels: [Option<&str>; 7] = std::array::from_fn(|_| levels.next());
        let [Some("application"), Some(application), Some("device"), Some(device), Some(kind), Some(name), None] =
            levels
        else {
            return topic.into();
        };
        let template = match kind {
            "event" => &self.event,
            "command" => &self.command,
            _ => &None,
        };
        template.as_ref().map_or(topic.into(), |template| template.write([application, device, name]).into())
    }

    /// A topic of the server in the default form; `None` for one that stays as it is.
    #[must_use]
    pub fn by_default(&self, topic: &str) -> Option<String> {
        let told = |template: &Option<Template>| template.as_ref()?.tell(topic);
        // A template may be the beginning of the other one: there is one command, and no event of that name.
        let command = told(&self.command).filter(|[.., name]| *name == "down");
        let (kind, [application, device, name]) = match command {
            Some(told) => ("command", told),
            None => ("event", told(&self.event)?),
        };
        Some(format!("application/{application}/device/{device}/{kind}/{name}"))
    }
}

impl Template {
    fn read(option: &'static str, text: &str, kind: &str, expected: &'static str) -> Result<Self> {
        let names = ["application_id", "dev_eui", kind];
        let level = |text: &str| {
            let name = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
            match name.map(|name| names.iter().position(|known| *known == name)) {
                Some(Some(at)) => Some(Level::Told(at)),
                None if !text.contains(['{', '}', '+', '#', '\0']) => Some(Level::Text(text.to_owned())),
                _ => None,
            }
        };
        let levels: Option<Vec<Level>> = text.split('/').map(level).collect();
        let is_told_once = |levels: &Vec<Level>| {
            (0..names.len()).all(|at| levels.iter().filter(|level| **level == Level::Told(at)).count() == 1)
        };
        levels.filter(is_told_once).map(Self).ok_or_else(|| Error::invalid(option, text, expected))
    }

    fn write(&self, told: Told<'_>) -> String {
        let levels = self.0.iter().map(|level| match level {
            Level::Text(text) => text.as_str(),
            Level::Told(at) => told[*at],
        });
        levels.collect::<Vec<_>>().join("/")
    }

    fn tell<'a>(&self, topic: &'a str) -> Option<Told<'a>> {
        let (mut told, mut given) = ([""; 3], topic.split('/'));
        for level in &self.0 {
            let given = given.next()?;
            match level {
                Level::Text(text) if text != given => return None,
                Level::Text(_) => {}
                Level::Told(at) => told[*at] = given,
            }
        }
        given.next().is_none().then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_a_server_become_the_default_ones_and_back() {
        let topics = Topics::new(
            Some("acme/{{application_id}}/{{ dev_eui }}/{{event}}"),
            Some("acme/down/{{dev_eui}}/of/{{application_id}}/{{command}}"),
        )
        .unwrap();
        for (default, of_server) in [
            ("application/a/device/d/event/up", "acme/a/d/up"),
            ("application/+/device/+/event/txack", "acme/+/+/txack"),
            ("application/a/device/d/command/down", "acme/down/d/of/a/down"),
        ] {
            assert_eq!(topics.of_server(default), of_server);
            assert_eq!(topics.by_default(of_server).as_deref(), Some(default));
        }
        for other in ["application/a/device/d/event/up", "acme/a/d", "acme/a/d/up/x", "bcme/a/d/up", "#", ""] {
            assert_eq!(topics.by_default(other), None, "{other}");
        }
        for other in ["#", "application/a/device/d/event/up/x", "application/a/device/d", "other/a/device/d/event/up"] {
            assert_eq!(topics.of_server(other), other);
        }
    }

    #[test]
    fn where_both_have_one_form_the_command_is_known_by_its_name() {
        let text = |kind: &str| format!("x/{{{{application_id}}}}/{{{{dev_eui}}}}/{{{{{kind}}}}}");
        let topics = Topics::new(Some(&text("event")), Some(&text("command"))).unwrap();
        assert_eq!(topics.by_default("x/a/d/down").as_deref(), Some("application/a/device/d/command/down"));
        assert_eq!(topics.by_default("x/a/d/up").as_deref(), Some("application/a/device/d/event/up"));
    }

    #[test]
    fn without_templates_all_stays() {
        let topics = Topics::default();
        assert_eq!(topics, Topics::new(None, None).unwrap());
        assert_eq!(topics.of_server("application/a/device/d/event/up"), "application/a/device/d/event/up");
        assert_eq!(topics.by_default("application/a/device/d/event/up"), None);
    }

    #[test]
    fn what_is_no_template_is_refused_by_name() {
        for text in [
            "",
            "application/+/device/+/event/up",
            "a/{{application_id}}/{{dev_eui}}",
            "a/{{application_id}}/{{dev_eui}}/{{event}}/{{event}}",
            "a/{{application_id}}/{{dev_eui}}/x-{{event}}",
            "a/{{ .ApplicationID }}/{{ .DevEUI }}/{{ .EventType }}",
            "a/{{application_id}}/{{dev_eui}}/{{command}}",
            "#/{{application_id}}/{{dev_eui}}/{{event}}",
        ] {
            let error = Topics::new(Some(text), None).unwrap_err().to_string();
            assert!(error.contains("event_topic") && error.contains("{{dev_eui}}/event/{{event}}"), "{error}");
        }
        let error = Topics::new(None, Some("{{dev_eui}}")).unwrap_err().to_string();
        assert!(error.contains("command_topic"), "{error}");
    }
}
