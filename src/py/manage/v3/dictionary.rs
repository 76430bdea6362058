//! Device dictionaries of V2 programs, and the keys that this network has beside theirs.

use prost::Message as _;
use prost_reflect::ReflectMessage as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::super::described::{self, dict, unknown};
use super::super::stub::message;
use crate::client::managed::Functions;
use crate::client::stack::Registration;
use crate::py::arguments::{text, wrong_type};
use crate::py::convert::{exact_bytes, seconds};
use crate::py::error::OrRaise as _;
use crate::py::number;
use crate::rpc::proto::v3;

/// The keys beside V2's, in snake_case; camelCase is taken as well.
const KEYS: [&str; 11] = [
    "name",
    "frequency_plan_id",
    "lorawan_version",
    "lorawan_phy_version",
    "supports_class_b",
    "supports_class_c",
    "resets_join_nonces",
    "nwk_key",
    "mac_settings",
    "version_ids",
    "formatters",
];

/// Read a dictionary or a `Device`; gives the attributes without a value, too.
pub(super) fn read(dev_id: &str, argument: &str, given: &Bound<'_, PyAny>) -> PyResult<(Registration, Vec<String>)> {
    described::read(dev_id, argument, given, &KEYS, take)
}

fn take(registration: &mut Registration, name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let extra = &mut registration.extra;
    let mut path = name.to_owned();
    let flag = || value.extract::<bool>().map_err(|_| wrong_type(name, "bool", value));
    match name {
        "name" => extra.name = text(name, value)?,
        "frequency_plan_id" => extra.frequency_plan_id = text(name, value)?,
        "lorawan_version" => extra.lorawan_version = lorawan_version(name, &text(name, value)?)?,
        "lorawan_phy_version" => extra.lorawan_phy_version = phy_version(name, &text(name, value)?)?,
        "supports_class_b" => extra.supports_class_b = flag()?,
        "supports_class_c" => extra.supports_class_c = flag()?,
        "resets_join_nonces" => extra.resets_join_nonces = flag()?,
        "nwk_key" => {
            let key = exact_bytes(name, value, 16)?;
            extra.root_keys.get_or_insert_default().nwk_key =
                Some(v3::KeyEnvelope { key, ..v3::KeyEnvelope::default() });
            "root_keys.nwk_key.key".clone_into(&mut path);
        }
        "mac_settings" => {
            let names = settings(extra.mac_settings.get_or_insert_default(), value)?;
            registration.paths.extend(names.into_iter().map(|name| format!("mac_settings.{name}")));
            return Ok(());
        }
        "version_ids" => {
            let mut ids = message("ttn.lorawan.v3.EndDeviceVersionIdentifiers", &[]);
            for (key, part) in dict(name, value)? {
                let key = text("a key of version_ids", &key)?;
                if ids.descriptor().get_field_by_name(&key).is_none() {
                    return Err(unknown(name, &key, "brand_id, model_id, hardware_version, firmware_version, band_id"));
                }
                ids.set_field_by_name(&key, prost_reflect::Value::String(text(&key, &part)?));
            }
            let ids = v3::EndDeviceVersionIdentifiers::decode(ids.encode_to_vec().as_slice());
            extra.version_ids = Some(ids.map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        _ => extra.formatters = Some(formatters(name, value)?),
    }
    registration.paths.push(path);
    Ok(())
}

fn frequencies(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    let given = value.try_iter().map_err(|_| wrong_type(name, "a list of frequencies in hertz", value))?;
    given.map(|one| number::within(name, &one?, 0..=u64::MAX.into())).collect()
}

/// A device's own payload functions, by V2's names.
fn formatters(name: &str, value: &Bound<'_, PyAny>) -> PyResult<v3::MessagePayloadFormatters> {
    let mut functions = Functions { format: "custom".to_owned(), ..Functions::default() };
    for (key, part) in dict(name, value)? {
        let key = text("a key of formatters", &key)?;
        let part = text(&key, &part)?;
        match key.as_str() {
            "encoder" => functions.encoder = part,
            "decoder" => functions.decoder = part,
            "converter" => functions.converter = part,
            "validator" => functions.validator = part,
            "payload_format" => functions.format = part,
            _ => return Err(unknown(name, &key, "encoder, decoder, converter, validator, payload_format")),
        }
    }
    functions.formatters().or_raise(value.py())
}

/// Settings of the MAC layer; gives their names.
fn settings(settings: &mut v3::MacSettings, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let mut names = Vec::new();
    for (key, part) in dict("mac_settings", value)? {
        let key = text("a key of mac_settings", &key)?;
        let number = |last: i64| number::within::<i64>(&key, &part, 0..=last.into());
        let index = |last: i64| number(last).map(|number| i32::try_from(number).unwrap_or_default());
        let flag = || {
            let value = part.extract::<bool>().map_err(|_| wrong_type(&key, "bool", &part))?;
            Ok::<_, PyErr>(Some(v3::BoolValue { value }))
        };
        let time = || {
            let time = seconds(&key, &part)?;
            Ok::<_, PyErr>(Some(prost_types::Duration::try_from(time).unwrap_or_default()))
        };
        match key.as_str() {
            "class_c_timeout" => settings.class_c_timeout = time()?,
            "rx1_delay" => settings.rx1_delay = Some(v3::RxDelayValue { value: index(15)? }),
            "rx1_data_rate_offset" => {
                settings.rx1_data_rate_offset = Some(v3::DataRateOffsetValue { value: index(7)? });
            }
            "rx2_data_rate_index" => settings.rx2_data_rate_index = Some(v3::DataRateIndexValue { value: index(15)? }),
            "rx2_frequency" => {
                let value = number(i64::from(u32::MAX))?.unsigned_abs();
                settings.rx2_frequency = Some(v3::FrequencyValue { value });
            }
            "factory_preset_frequencies" => {
                settings.factory_preset_frequencies = frequencies(&key, &part)?;
            }
            "supports_32_bit_f_cnt" => settings.supports_32_bit_f_cnt = flag()?,
            "resets_f_cnt" => settings.resets_f_cnt = flag()?,
            "status_time_periodicity" => settings.status_time_periodicity = time()?,
            "status_count_periodicity" => {
                settings.status_count_periodicity =
                    Some(u32::try_from(number(i64::from(u32::MAX))?).unwrap_or_default());
            }
            _ => {
                let expected = "class_c_timeout, rx1_delay, rx1_data_rate_offset, rx2_data_rate_index, rx2_frequency, \
                                factory_preset_frequencies, supports_32_bit_f_cnt, resets_f_cnt, status_time_periodicity, \
                                status_count_periodicity";
                return Err(unknown("mac_settings", &key, expected));
            }
        }
        names.push(key);
    }
    Ok(names)
}

/// A LoRaWAN version by its name on this network, or by its number (V3 3.7).
pub(super) fn lorawan_version(what: &str, given: &str) -> PyResult<i32> {
    let name = match given {
        "1.0" | "1.0.0" => "MAC_V1_0",
        "1.0.1" => "MAC_V1_0_1",
        "1.0.2" => "MAC_V1_0_2",
        "1.0.3" => "MAC_V1_0_3",
        "1.0.4" => "MAC_V1_0_4",
        "1.1" | "1.1.0" => "MAC_V1_1",
        name => name,
    };
    let version = v3::MacVersion::from_str_name(name).filter(|version| *version != v3::MacVersion::MacUnknown);
    version.map(i32::from).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{what} {given:?} is not valid: expected one such as \"1.0.2\" or \"MAC_V1_0_2\""
        ))
    })
}

/// A version of the regional parameters by its name on this network, or by its number (V3 3.7).
pub(super) fn phy_version(what: &str, given: &str) -> PyResult<i32> {
    let name = match given {
        "1.0" | "1.0.0" | "V1_0" | "TS001_V1_0" => "PHY_V1_0",
        "1.0.1" | "V1_0_1" | "TS001_V1_0_1" => "PHY_V1_0_1",
        "1.0.2" | "1.0.2-a" | "V1_0_2" | "V1_0_2_REV_A" | "RP001_V1_0_2" => "PHY_V1_0_2_REV_A",
        "1.0.2-b" | "V1_0_2_REV_B" | "RP001_V1_0_2_REV_B" => "PHY_V1_0_2_REV_B",
        "1.1-a" | "1.1.0-a" | "V1_1_REV_A" | "RP001_V1_1_REV_A" => "PHY_V1_1_REV_A",
        "1.1-b" | "1.1.0-b" | "V1_1_REV_B" | "RP001_V1_1_REV_B" => "PHY_V1_1_REV_B",
        "1.0.3-a" | "V1_0_3_REV_A" | "RP001_V1_0_3_REV_A" => "PHY_V1_0_3_REV_A",
        name => name,
    };
    let version = v3::PhyVersion::from_str_name(name).filter(|version| *version != v3::PhyVersion::PhyUnknown);
    version.map(i32::from).ok_or_else(|| {
        let expected = "one such as \"1.0.2-b\" or \"PHY_V1_0_2_REV_B\"";
        PyValueError::new_err(format!("{what} {given:?} is not valid: expected {expected}"))
    })
}
