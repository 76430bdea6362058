//! The schema's rules for what a request says of devices, applications and keys (V3 1.3, 3.6).

use std::collections::HashMap;

use crate::rpc::proto::v3::{
    Application, ApplicationIdentifiers, CreateApplicationApiKeyRequest, EndDevice, EndDeviceIdentifiers, Location,
};
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
    check_description(&place, MESSAGE, (&device.name, &device.description, &device.attributes))?;
    for (source, location) in &device.locations {
        let field = format!("locations[{source}]");
        check_location(location, &[place[0], (MESSAGE, &field)])?;
    }
    Ok(())
}

/// Check what users may call and say of something.
fn check_description(
    place: &Place<'_>,
    message: &'static str,
    (name, description, attributes): (&str, &str, &HashMap<String, String>),
) -> Result<(), Failure> {
    for (field, text, most) in [("name", name, 50), ("description", description, 2000)] {
        if let Some(reason) = at_most(most, text) {
            return invalid(place, message, field, &reason);
        }
    }
    if attributes.len() > 10 {
        return invalid(place, message, "attributes", "value must contain no more than 10 pair(s)");
    }
    for (name, value) in attributes {
        if let Some(reason) = id(name).or_else(|| at_most(200, value)) {
            return invalid(place, message, &format!("attributes[{name}]"), &reason);
        }
    }
    Ok(())
}

/// Check an application's identifiers.
pub(super) fn check_application_ids(ids: Option<&ApplicationIdentifiers>, place: &Place<'_>) -> Result<(), Failure> {
    let Some(ids) = ids else { return Err(Failure::invalid(place, "value is required")) };
    let reason = id(&ids.application_id);
    reason.map_or(Ok(()), |reason| invalid(place, "ApplicationIdentifiers", "application_id", &reason))
}

/// Check all that is said of an application, in the field `application` of a request.
pub(super) fn check_application(application: &Application, request: &'static str) -> Result<(), Failure> {
    const MESSAGE: &str = "Application";
    let place = [(request, "application")];
    check_application_ids(application.ids.as_ref(), &[place[0], (MESSAGE, "ids")])?;
    check_description(&place, MESSAGE, (&application.name, &application.description, &application.attributes))
}

/// Check the IDs of a request for several devices.
pub(super) fn check_batch(dev_ids: &[String], request: &'static str) -> Result<(), Failure> {
    if !(1..=20).contains(&dev_ids.len()) {
        let reason = "value must contain between 1 and 20 items, inclusive";
        return invalid(&[], request, "device_ids", reason);
    }
    for (at, dev_id) in dev_ids.iter().enumerate() {
        if let Some(reason) = id(dev_id) {
            return invalid(&[], request, &format!("device_ids[{at}]"), &reason);
        }
    }
    Ok(())
}

/// Check what is said of a key that is to be made.
pub(super) fn check_key(request: &CreateApplicationApiKeyRequest) -> Result<(), Failure> {
    const MESSAGE: &str = "CreateApplicationAPIKeyRequest";
    check_application_ids(request.application_ids.as_ref(), &[(MESSAGE, "application_ids")])?;
    if let Some(reason) = at_most(50, &request.name) {
        return invalid(&[], MESSAGE, "name", &reason);
    }
    if request.rights.is_empty() {
        return invalid(&[], MESSAGE, "rights", "value must contain at least 1 item(s)");
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
