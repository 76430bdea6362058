//! Which call an address is, as the stack's gateway has it (V3 3.3).

/// An address of a call. In its path, fields of the request stand in braces.
#[derive(Debug)]
pub(super) struct Route {
    verb: &'static str,
    path: &'static str,
    /// Service and method.
    pub(super) call: (&'static str, &'static str),
}

const fn to(verb: &'static str, path: &'static str, service: &'static str, method: &'static str) -> Route {
    Route { verb, path, call: (service, method) }
}

/// The fields of requests that paths have, so that the table below is readable.
const SHORT: [(&str, &str); 5] = [
    ("{app}", "application_ids.application_id"),
    ("{dev.app}", "end_device_ids.application_ids.application_id"),
    ("{dev}", "end_device_ids.device_id"),
    ("{new.app}", "end_device.ids.application_ids.application_id"),
    ("{new}", "end_device.ids.device_id"),
];

const ROUTES: [Route; 52] = [
    to("GET", "auth_info", "EntityAccess", "AuthInfo"),
    to("POST", "users/{collaborator.user_ids.user_id}/applications", "ApplicationRegistry", "Create"),
    to(
        "POST",
        "organizations/{collaborator.organization_ids.organization_id}/applications",
        "ApplicationRegistry",
        "Create",
    ),
    to("GET", "applications", "ApplicationRegistry", "List"),
    to("GET", "applications/{app}", "ApplicationRegistry", "Get"),
    to("PUT", "applications/{application.ids.application_id}", "ApplicationRegistry", "Update"),
    to("POST", "applications/{application_id}/dev-eui", "ApplicationRegistry", "IssueDevEUI"),
    to("POST", "applications/{app}/api-keys", "ApplicationAccess", "CreateAPIKey"),
    to("DELETE", "applications/{application_id}", "ApplicationRegistry", "Delete"),
    to("GET", "applications/{application_id}/rights", "ApplicationAccess", "ListRights"),
    to("POST", "applications/{new.app}/devices", "EndDeviceRegistry", "Create"),
    to("GET", "applications/{app}/devices", "EndDeviceRegistry", "List"),
    to("POST", "applications/{app}/devices/filter", "EndDeviceRegistry", "List"),
    // Before a device of that name.
    to("GET", "applications/{app}/devices/batch", "EndDeviceBatchRegistry", "Get"),
    to("DELETE", "applications/{app}/devices/batch", "EndDeviceBatchRegistry", "Delete"),
    to("DELETE", "ns/applications/{app}/devices/batch", "NsEndDeviceBatchRegistry", "Delete"),
    to("DELETE", "as/applications/{app}/devices/batch", "AsEndDeviceBatchRegistry", "Delete"),
    to("DELETE", "js/applications/{app}/devices/batch", "JsEndDeviceBatchRegistry", "Delete"),
    to("GET", "applications/{dev.app}/devices/{dev}", "EndDeviceRegistry", "Get"),
    to("PUT", "applications/{new.app}/devices/{new}", "EndDeviceRegistry", "Update"),
    to("DELETE", "applications/{application_ids.application_id}/devices/{device_id}", "EndDeviceRegistry", "Delete"),
    to("GET", "ns/applications/{dev.app}/devices/{dev}", "NsEndDeviceRegistry", "Get"),
    to("PUT", "ns/applications/{new.app}/devices/{new}", "NsEndDeviceRegistry", "Set"),
    to("POST", "ns/applications/{new.app}/devices", "NsEndDeviceRegistry", "Set"),
    to(
        "DELETE",
        "ns/applications/{application_ids.application_id}/devices/{device_id}",
        "NsEndDeviceRegistry",
        "Delete",
    ),
    to("GET", "as/applications/{dev.app}/devices/{dev}", "AsEndDeviceRegistry", "Get"),
    to("PUT", "as/applications/{new.app}/devices/{new}", "AsEndDeviceRegistry", "Set"),
    to("POST", "as/applications/{new.app}/devices", "AsEndDeviceRegistry", "Set"),
    to(
        "DELETE",
        "as/applications/{application_ids.application_id}/devices/{device_id}",
        "AsEndDeviceRegistry",
        "Delete",
    ),
    to("GET", "js/applications/{dev.app}/devices/{dev}", "JsEndDeviceRegistry", "Get"),
    to("PUT", "js/applications/{new.app}/devices/{new}", "JsEndDeviceRegistry", "Set"),
    to("POST", "js/applications/{new.app}/devices", "JsEndDeviceRegistry", "Set"),
    to(
        "DELETE",
        "js/applications/{application_ids.application_id}/devices/{device_id}",
        "JsEndDeviceRegistry",
        "Delete",
    ),
    to("GET", "configuration/frequency-plans", "Configuration", "ListFrequencyPlans"),
    to("GET", "as/configuration", "As", "GetConfiguration"),
    to("GET", "as/applications/{app}/link", "As", "GetLink"),
    to("PUT", "as/applications/{app}/link", "As", "SetLink"),
    to("DELETE", "as/applications/{application_id}/link", "As", "DeleteLink"),
    to("POST", "as/applications/{dev.app}/devices/{dev}/down/push", "AppAs", "DownlinkQueuePush"),
    to("POST", "as/applications/{dev.app}/devices/{dev}/down/replace", "AppAs", "DownlinkQueueReplace"),
    to(
        "GET",
        "as/applications/{application_ids.application_id}/devices/{device_id}/down",
        "AppAs",
        "DownlinkQueueList",
    ),
    to("GET", "as/applications/{application_id}/mqtt-connection-info", "AppAs", "GetMQTTConnectionInfo"),
    to("POST", "as/applications/{dev.app}/devices/{dev}/up/simulate", "AppAs", "SimulateUplink"),
    to("POST", "as/applications/{dev.app}/devices/{dev}/down/encode", "AppAs", "EncodeDownlink"),
    to("POST", "as/applications/{dev.app}/devices/{dev}/up/decode", "AppAs", "DecodeUplink"),
    to("GET", "as/applications/{app}/packages/storage/{type}", "ApplicationUpStorage", "GetStoredApplicationUp"),
    to(
        "GET",
        "as/applications/{dev.app}/devices/{dev}/packages/storage/{type}",
        "ApplicationUpStorage",
        "GetStoredApplicationUp",
    ),
    to("GET", "ns/dev_addr", "Ns", "GenerateDevAddr"),
    to("GET", "ns/net_id", "Ns", "GetNetID"),
    to("GET", "ns/default_mac_settings/{frequency_plan_id}/{lorawan_phy_version}", "Ns", "GetDefaultMACSettings"),
    to("GET", "js/default_join_eui", "Js", "GetDefaultJoinEUI"),
    to("POST", "events", "Events", "Stream"),
];

/// What a request is.
pub(super) enum Found {
    /// A call, and the fields that its path has.
    Call(&'static Route, Vec<(String, String)>),
    /// Another verb would be one.
    OtherVerb,
    Nothing,
}

/// A field of the request in place of a segment.
fn field(segment: &'static str) -> Option<&'static str> {
    let short = SHORT.iter().find(|(short, _)| *short == segment).map(|(_, field)| *field);
    short.or_else(|| segment.strip_prefix('{')?.strip_suffix('}'))
}

impl Route {
    /// The fields that a path has, if it is of this route.
    fn fields(&self, path: &[String]) -> Option<Vec<(String, String)>> {
        let mut segments = path.iter();
        let mut fields = Vec::new();
        for own in self.path.split('/') {
            let segment = segments.next()?;
            match field(own) {
                Some(field) => fields.push((field.to_owned(), segment.clone())),
                None if own == segment => {}
                None => return None,
            }
        }
        segments.next().is_none().then_some(fields)
    }

    /// Whether the request stands in the body.
    pub(super) fn has_body(&self) -> bool {
        !matches!(self.verb, "GET" | "DELETE")
    }
}

/// Find the call of an address; `path` is what comes after `/api/v3/`, in segments.
pub(super) fn find(verb: &str, path: &[String]) -> Found {
    let mut other = Found::Nothing;
    for route in &ROUTES {
        let Some(fields) = route.fields(path) else { continue };
        if route.verb == verb {
            return Found::Call(route, fields);
        }
        other = Found::OtherVerb;
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Method;
    use crate::rpc::message::descriptor;

    fn segments(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_a_call_that_has_its_fields() {
        for route in &ROUTES {
            let (service, method) = route.call;
            let method =
                Method::find(&format!("ttn.lorawan.v3.{service}"), method).unwrap_or_else(|| panic!("{route:?}"));
            for field in route.path.split('/').filter_map(field) {
                let mut message = method.input();
                for name in field.split('.') {
                    let found = message.get_field_by_name(name).unwrap_or_else(|| panic!("{route:?}: {field}"));
                    if let prost_reflect::Kind::Message(inner) = found.kind() {
                        message = inner;
                    }
                }
            }
        }
    }

    #[test]
    fn every_call_has_a_route_but_one() {
        let pool = descriptor("ttn.lorawan.v3.EndDevice").parent_pool().clone();
        let services = pool.services().filter(|service| service.package_name() == "ttn.lorawan.v3");
        let names: Vec<_> = services
            .flat_map(|service| {
                service
                    .methods()
                    .map(|method| format!("{}/{}", method.parent_service().name(), method.name()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !ROUTES.iter().any(|route| format!("{}/{}", route.call.0, route.call.1) == **name))
            .collect();
        // The stack has none for it, either.
        assert_eq!(missing, ["AppAs/Subscribe"]);
    }

    #[test]
    fn an_address_is_found_by_its_segments() {
        let Found::Call(route, fields) = find("GET", &segments("applications/app1/devices/")) else { panic!() };
        assert_eq!((route.call, fields[1].1.as_str()), (("EndDeviceRegistry", "Get"), ""));
        assert!(matches!(find("PATCH", &segments("applications/app1")), Found::OtherVerb));
        assert!(matches!(find("GET", &segments("nope")), Found::Nothing));
        assert!(matches!(find("GET", &segments("applications/app1/devices/a/b")), Found::Nothing));
    }
}
