//! V2's payload functions as the formatters of this network: one script for each direction (V3 3.4.2).

use crate::client::managed::Functions;
use crate::error::{Error, Result};
use crate::rpc::proto::v3;

/// Longest script, in characters.
const LONGEST: usize = 40_960;

/// What the formatters are, in V2's words.
#[must_use]
pub(super) fn functions_of(formatters: &v3::MessagePayloadFormatters) -> Functions {
    let (up, down) = (&formatters.up_formatter_parameter, &formatters.down_formatter_parameter);
    Functions::of_scripts(format_of(formatters), up, down)
}

impl Functions {
    /// The formatters of The Things Stack V3 that do what the functions do.
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

    #[test]
    fn a_decoder_alone_stays_as_it_is() {
        let functions = Functions {
            format: "custom".into(),
            encoder: "function Encoder(o, p) { return []; }".into(),
            decoder: "function Decoder(b, p) { return {n: b.length}; }\n".into(),
            ..Functions::default()
        };
        let formatters = functions.formatters().unwrap();
        assert_eq!(formatters.up_formatter_parameter, functions.decoder);
        assert_eq!(functions_of(&formatters), functions);
    }

    #[test]
    fn what_the_network_would_refuse_is_refused() {
        let long = Functions { format: "custom".into(), decoder: "x".repeat(LONGEST + 1), ..Functions::default() };
        let unknown = Functions { format: "xml".into(), ..Functions::default() };
        for (functions, what) in [(long, "40960"), (unknown, "payload_format \"xml\"")] {
            let error = functions.formatters().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
