//! V2's payload functions in the formatters of this network: one script for each direction (V3 3.4.2).

use crate::error::{Error, Result};
use crate::rpc::proto::{handler, v3};

/// Longest script, in characters.
const LONGEST: usize = 40_960;
/// What the marks around the functions in a script have in common.
const MARK: &str = "//--- thingslink:";
/// The functions that go into one script, in the order in which they are called.
const TOGETHER: [&str; 3] = ["decoder", "converter", "validator"];
/// What the script says of an uplink that the validator does not let through.
pub(super) const NOT_VALID: &str = "the validator returned false";

/// What calls them. The network itself calls `Decoder`, but none of the others.
const CALLS: &str = r#"function decodeUplink(input) {
  var decoded = typeof Decoder === "function" ? Decoder(input.bytes, input.fPort) : {};
  if (typeof Converter === "function") decoded = Converter(decoded, input.fPort);
  if (typeof Validator === "function" && !Validator(decoded, input.fPort)) {
    return { errors: ["the validator returned false"] };
  }
  return { data: decoded };
}
"#;

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
    /// What the formatters are, in V2's words.
    #[must_use]
    pub fn of(formatters: &v3::MessagePayloadFormatters) -> Self {
        let [decoder, converter, validator] = split(&formatters.up_formatter_parameter);
        Self {
            format: format_of(formatters).to_owned(),
            encoder: formatters.down_formatter_parameter.clone(),
            decoder,
            converter,
            validator,
        }
    }

    /// The formatters that do what the functions do.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a format that there is not, and for functions that do not go together or are too long.
    pub fn formatters(&self) -> Result<v3::MessagePayloadFormatters> {
        let kind = match self.format.as_str() {
            "custom" => v3::PayloadFormatter::FormatterJavascript,
            "cayennelpp" => v3::PayloadFormatter::FormatterCayennelpp,
            "" => v3::PayloadFormatter::FormatterNone,
            other => {
                return Err(Error::invalid("payload_format", other, "\"custom\", \"cayennelpp\" or \"\" for none"));
            }
        };
        let is_script = kind == v3::PayloadFormatter::FormatterJavascript;
        let (up, down) = if is_script { (self.up()?, self.encoder.clone()) } else { Default::default() };
        for (what, script) in [("decoder", &up), ("encoder", &down)] {
            if script.chars().count() > LONGEST {
                return Err(Error::invalid(what, script, "at most 40960 characters, with what stands beside it"));
            }
        }
        Ok(v3::MessagePayloadFormatters {
            up_formatter: kind.into(),
            up_formatter_parameter: up,
            down_formatter: kind.into(),
            down_formatter_parameter: down,
        })
    }

    /// The script for uplinks. A decoder alone stays as it is: the network runs either kind.
    fn up(&self) -> Result<String> {
        if self.converter.is_empty() && self.validator.is_empty() {
            return Ok(self.decoder.clone());
        }
        if self.decoder.contains("decodeUplink") {
            let expected =
                "one with a function Decoder(bytes, port): decodeUplink goes without converter and validator";
            return Err(Error::invalid("decoder", self.decoder.as_str(), expected));
        }
        let mut script = String::new();
        for (name, code) in TOGETHER.into_iter().zip([&self.decoder, &self.converter, &self.validator]) {
            if code.contains(MARK) {
                return Err(Error::invalid(name, code.as_str(), "a function without the marks of a whole script"));
            }
            script.push_str(&begin(name));
            script.push_str(code);
            script.push_str(&end(name));
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

fn begin(name: &str) -> String {
    format!("{MARK}{name}\n")
}

fn end(name: &str) -> String {
    format!("\n{MARK}end of {name}\n")
}

/// Decoder, converter and validator of a script; one that is not of ours is all decoder.
fn split(script: &str) -> [String; 3] {
    let parts = TOGETHER.map(|name| {
        let (_, rest) = script.split_once(&begin(name))?;
        rest.split_once(&end(name)).map(|(code, _)| code.to_owned())
    });
    match parts {
        [Some(decoder), Some(converter), Some(validator)] => [decoder, converter, validator],
        _ => [script.to_owned(), String::new(), String::new()],
    }
}

fn format_of(formatters: &v3::MessagePayloadFormatters) -> &'static str {
    let kinds = [formatters.up_formatter(), formatters.down_formatter()];
    let is_one_of = |kind| kinds.contains(&kind);
    if is_one_of(v3::PayloadFormatter::FormatterJavascript) {
        "custom"
    } else if is_one_of(v3::PayloadFormatter::FormatterCayennelpp) {
        "cayennelpp"
    } else if is_one_of(v3::PayloadFormatter::FormatterRepository) {
        "repository"
    } else if is_one_of(v3::PayloadFormatter::FormatterGrpcService) {
        "grpc"
    } else {
        ""
    }
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
        for functions in [functions(), Functions { converter: String::new(), ..functions() }] {
            assert_eq!(Functions::of(&functions.formatters().unwrap()), functions);
        }
    }

    #[test]
    fn a_decoder_alone_stays_as_it_is() {
        let functions = Functions { converter: String::new(), ..functions() };
        assert_eq!(functions.formatters().unwrap().up_formatter_parameter, functions.decoder);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let new = Functions { decoder: "function decodeUplink(input) {}".into(), ..functions() };
        let marked = Functions { validator: format!("{MARK}decoder"), ..functions() };
        let long = Functions { decoder: "x".repeat(LONGEST), ..functions() };
        let unknown = Functions { format: "xml".into(), ..functions() };
        for (functions, what) in
            [(new, "decoder"), (marked, "validator"), (long, "40960"), (unknown, "payload_format \"xml\"")]
        {
            let error = functions.formatters().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(CALLS.contains(NOT_VALID));
    }
}
