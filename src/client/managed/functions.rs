//! V2's payload functions in the scripts of networks that know no converters and validators: kept readable, found again by
//! marks, and called by what stands below them.

use crate::error::{Error, Result};
use crate::rpc::proto::handler;

/// What the marks around the functions in a script have in common.
const MARK: &str = "//--- thingslink:";
/// The functions that go into one script, in the order in which they are called.
const TOGETHER: [&str; 3] = ["decoder", "converter", "validator"];
/// What the script says of an uplink that the validator does not let through.
pub(in crate::client) const NOT_VALID: &str = "the validator returned false";

/// What calls them; not for a frame without a payload, of which ChirpStack asks as well, and V2 never did.
const CALLS: &str = r#"function decodeUplink(input) {
  if (!input.fPort && !input.bytes.length) return { data: {} };
  var decoded = typeof Decoder === "function" ? Decoder(input.bytes, input.fPort) : {};
  if (typeof Converter === "function") decoded = Converter(decoded, input.fPort);
  if (typeof Validator === "function" && !Validator(decoded, input.fPort)) {
    return { errors: ["the validator returned false"] };
  }
  return { data: decoded };
}
"#;

/// What calls an encoder, which is not told for which port it is.
const CALLS_ENCODER: &str = r"function encodeDownlink(input) {
  return { bytes: Encoder(input.data, 1) };
}
";

/// The payload functions of an application, as V2 has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    /// `"custom"`, `"cayennelpp"`, or empty for none.
    pub format: String,
    /// `Encoder(object, port)`, or a script with `encodeDownlink(input)`.
    pub encoder: String,
    /// `Decoder(bytes, port)`, or a script with `decodeUplink(input)`.
    pub decoder: String,
    /// `Converter(decoded, port)`.
    pub converter: String,
    /// `Validator(converted, port)`.
    pub validator: String,
}

impl Functions {
    /// Those of a script for uplinks, and of one for downlinks.
    #[must_use]
    pub(in crate::client) fn of_scripts(format: &str, up: &str, down: &str) -> Self {
        let [decoder, converter, validator] = split(up);
        Self { format: format.to_owned(), encoder: down.to_owned(), decoder, converter, validator }
    }

    /// Those of a script for both; one that is not of ours is all decoder.
    #[must_use]
    pub(in crate::client) fn of_script(format: &str, script: &str) -> Self {
        Self::of_scripts(format, script, section(script, "encoder").unwrap_or_default())
    }

    /// Whether there is nothing for uplinks beside a decoder.
    fn is_decoder_alone(&self) -> bool {
        self.converter.is_empty() && self.validator.is_empty()
    }

    /// The script for uplinks, of a network that calls `Decoder` as well: one alone stays as it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for functions that do not go together.
    pub(in crate::client) fn up(&self) -> Result<String> {
        if self.is_decoder_alone() { Ok(self.decoder.clone()) } else { self.together() }
    }

    /// One script with `decodeUplink(input)` and, for an encoder, `encodeDownlink(input)`. What is written for such a network
    /// stays as it is.
    ///
    /// # Errors
    /// As [`Functions::up`].
    pub(in crate::client) fn script(&self) -> Result<String> {
        let is_new = self.is_decoder_alone() && (self.decoder.is_empty() || self.decoder.contains("decodeUplink"));
        if self.encoder.is_empty() {
            return if is_new { Ok(self.decoder.clone()) } else { self.together() };
        }
        if self.decoder.contains("encodeDownlink") {
            let expected = "none: the decoder is a script with an encodeDownlink of its own";
            return Err(Error::invalid("encoder", self.encoder.as_str(), expected));
        }
        let mut script =
            if is_new && !self.decoder.is_empty() { marked("decoder", &self.decoder)? } else { self.together()? };
        script.push_str(&marked("encoder", &self.encoder)?);
        if !self.encoder.contains("encodeDownlink") {
            script.push_str(CALLS_ENCODER);
        }
        Ok(script)
    }

    /// Decoder, converter and validator, and what calls them.
    fn together(&self) -> Result<String> {
        if self.decoder.contains("decodeUplink") {
            let expected =
                "one with a function Decoder(bytes, port): decodeUplink goes without converter and validator";
            return Err(Error::invalid("decoder", self.decoder.as_str(), expected));
        }
        let mut script = String::new();
        for (name, code) in TOGETHER.into_iter().zip([&self.decoder, &self.converter, &self.validator]) {
            script.push_str(&marked(name, code)?);
        }
        Ok(script + CALLS)
    }

    /// The application as a handler of V2 would give it.
    #[must_use]
    pub fn to_v2(&self, app_id: &str) -> handler::Application {
        handler::Application {
            app_id: app_id.to_owned(),
            decoder: self.decoder.clone(),
            converter: self.converter.clone(),
            validator: self.validator.clone(),
            encoder: self.encoder.clone(),
            payload_format: self.format.clone(),
            register_on_join_access_key: String::new(),
        }
    }
}

/// A function between its marks.
fn marked(name: &'static str, code: &str) -> Result<String> {
    if code.contains(MARK) {
        return Err(Error::invalid(name, code, "a function without the marks of a whole script"));
    }
    Ok([&begin(name), code, &end(name)].concat())
}

fn begin(name: &str) -> String {
    format!("{MARK}{name}\n")
}

fn end(name: &str) -> String {
    format!("\n{MARK}end of {name}\n")
}

/// What stands between the marks of a function.
fn section<'a>(script: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = script.split_once(&begin(name))?;
    rest.split_once(&end(name)).map(|(code, _)| code)
}

/// Decoder, converter and validator of a script; one that is not of ours is all decoder.
fn split(script: &str) -> [String; 3] {
    if !script.contains(MARK) {
        return [script.to_owned(), String::new(), String::new()];
    }
    TOGETHER.map(|name| section(script, name).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions() -> Functions {
        Functions {
            format: "custom".into(),
            encoder: "function Encoder(o, p) { return []; }".into(),
            decoder: "function Decoder(b, p) { return {n: b.length}; }\n".into(),
            converter: "function Converter(d, p) {\n  return d; }".into(),
            validator: String::new(),
        }
    }

    #[test]
    fn functions_come_out_as_they_went_in() {
        let without_converter = Functions { converter: String::new(), ..functions() };
        let without_decoder = Functions { decoder: String::new(), ..without_converter.clone() };
        let new = Functions { decoder: "function decodeUplink(input) {}".into(), ..without_converter.clone() };
        for functions in [functions(), without_converter, without_decoder, new] {
            let script = functions.script().unwrap();
            assert_eq!(Functions::of_script("custom", &script), functions);
            for called in ["function decodeUplink(input)", "function encodeDownlink(input)"] {
                let times = script.matches(called).count();
                assert!(times == 1, "{times} of {called}: {script}");
            }
            let up = functions.up().unwrap();
            assert_eq!(Functions::of_scripts("custom", &up, &functions.encoder), functions);
        }
    }

    #[test]
    fn a_script_of_another_hand_is_a_decoder_and_stays_as_it_is() {
        let script = "function decodeUplink(input) {}\nfunction encodeDownlink(input) {}\n";
        let functions = Functions::of_script("custom", script);
        assert_eq!((functions.decoder.as_str(), functions.encoder.as_str()), (script, ""));
        assert_eq!(functions.script().unwrap(), script);
        let encoder = Functions { encoder: "function Encoder(o, p) {}".into(), ..functions };
        assert!(encoder.script().unwrap_err().to_string().contains("encodeDownlink of its own"));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let new = Functions { decoder: "function decodeUplink(input) {}".into(), ..functions() };
        let marked = Functions { validator: format!("{MARK}decoder"), ..functions() };
        for (functions, what) in [(new, "decoder"), (marked, "validator")] {
            for script in [functions.up(), functions.script()] {
                let error = script.unwrap_err().to_string();
                assert!(error.contains(what), "{error}");
            }
        }
        assert!(CALLS.contains(NOT_VALID));
    }
}
