//! The schema's rules for what a request says of a device (V3 1.3, 3.6).

use crate::rpc::proto::v3::{EndDevice, EndDeviceIdentifiers, Location};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::registry::is_id;

const PATTERN: &str = "value does not match regex pattern \"^[a-z0-9](?:[-]?[a-z0-9]){2,}$\"";

/// Where in a request, from its outermost message on: the message, and the field of it.
type Place<'p> = [(&'static str, &'p str)];

fn invalid(place: &Place<'_>, message: &'static str, field: &str, reason: &str) -> Result<(), Failure> {
    Err(Failure::invalid(&[place, &[(message, field)]].concat(), reason))
}

fn at_most(letters: usize, text: &str) -> Option<String> {
    (text.chars().count() > letters).then(|| format!("value length must be at most {letters} runes"))
}

/// What is wrong with a text that is to be an ID.
fn id(text: &str) -> Option<String> {
    at_most(36, text).or_else(|| (!is_id(text)).then(|| PATTERN.to_owned()))
}

/// Check a device's identifiers.
pub(super) fn check_ids(ids: Option<&EndDeviceIdentifiers>, place: &Place<'_>) -> Result<(), Failure> {
    const MESSAGE: &str = "EndDeviceIdentifiers";
    let Some(ids) = ids else { return Err(Failure::invalid(place, "value is required")) };
    if let Some(reason) = id(&ids.device_id) {
        return invalid(place, MESSAGE, "device_id", &reason);
    }
    for (field, eui) in [("dev_eui", &ids.dev_eui), ("join_eui", &ids.join_eui)] {
        if !matches!(eui.len(), 0 | 8) {
            return invalid(place, MESSAGE, field, "value length must be 8 bytes");
        }
    }
    Ok(())
}

/// Check all that is said of a device, in the field `end_device` of a request.
pub(super) fn check_device(device: &EndDevice, request: &'static str) -> Result<(), Failure> {
    const MESSAGE: &str = "EndDevice";
    let place = [(request, "end_device")];
    if device.ids.is_none() {
        return Err(Failure::invalid(&place, "value is required"));
    }
    check_ids(device.ids.as_ref(), &[place[0], (MESSAGE, "ids")])?;
    for (field, text, most) in [("name", &device.name, 50), ("description", &device.description, 2000)] {
        if let Some(reason) = at_most(most, text) {
            return invalid(&place, MESSAGE, field, &reason);
        }
    }
    if device.attributes.len() > 10 {
        return invalid(&place, MESSAGE, "attributes", "value must contain no more than 10 pair(s)");
    }
    for (name, value) in &device.attributes {
        if let Some(reason) = id(name).or_else(|| at_most(200, value)) {
            return invalid(&place, MESSAGE, &format!("attributes[{name}]"), &reason);
        }
    }
    for (source, location) in &device.locations {
        let field = format!("locations[{source}]");
        check_location(location, &[place[0], (MESSAGE, &field)])?;
    }
    Ok(())
}

fn check_location(location: &Location, place: &Place<'_>) -> Result<(), Failure> {
    for (field, degrees, most) in [("latitude", location.latitude, 90.0), ("longitude", location.longitude, 180.0)] {
        // What is no number is in no range.
        if !(-most..=most).contains(&degrees) {
            let reason = format!("value must be inside range [-{most}, {most}]");
            return invalid(place, "Location", field, &reason);
        }
    }
    Ok(())
}
