//! The keys that device dictionaries have on this network beside V2's (CS 5.3).

use pyo3::prelude::*;

use super::super::described::{self, dict};
use crate::client::chirpstack::Registration;
use crate::dialect::lorawan::uuid;
use crate::py::arguments::{text, wrong_type};
use crate::py::convert::exact_bytes;

/// In snake_case.
const KEYS: [&str; 6] = ["name", "profile", "device_profile_id", "is_disabled", "variables", "nwk_key"];

/// Read a dictionary or a `Device`; gives the attributes without a value, too.
pub(super) fn read(dev_id: &str, argument: &str, given: &Bound<'_, PyAny>) -> PyResult<(Registration, Vec<String>)> {
    described::read(dev_id, argument, given, &KEYS, take)
}

fn take(registration: &mut Registration, name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let extra = &mut registration.extra;
    match name {
        "name" => extra.name = text(name, value)?,
        "profile" => extra.profile = Some(text(name, value)?),
        "device_profile_id" => {
            let given = text(name, value)?;
            extra.profile = Some(uuid(&given).ok_or_else(|| described::not_valid(name, &given, "a UUID"))?);
        }
        "is_disabled" => extra.is_disabled = value.extract().map_err(|_| wrong_type(name, "bool", value))?,
        "variables" => {
            let items = dict(name, value)?.into_iter();
            let item = |(key, value)| Ok((text("a name of a variable", &key)?, text("a variable", &value)?));
            extra.variables = items.map(item).collect::<PyResult<_>>()?;
        }
        _ => extra.nwk_key = Some(exact_bytes(name, value, 16)?),
    }
    registration.paths.push(name.to_owned());
    Ok(())
}
