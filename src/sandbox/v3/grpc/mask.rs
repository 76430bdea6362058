//! Field masks: which paths a method takes, and what they copy (V3 3.1, 3.5).

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use tonic::Code;

use crate::rpc::message::descriptor;
use crate::sandbox::v3::failure::{Attribute, Failure};

/// A message as one whose fields have names.
pub(super) fn dynamic(full_name: &str, message: &impl prost::Message) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(descriptor(full_name));
    // Cannot fail: both have the same definition.
    let _same = dynamic.transcode_from(message);
    dynamic
}

/// And back.
pub(super) fn typed<M: prost::Message + Default>(dynamic: &DynamicMessage) -> M {
    dynamic.transcode_to().unwrap_or_default()
}

/// What a mask names; nothing without one.
pub(super) fn paths(mask: Option<&prost_types::FieldMask>) -> &[String] {
    mask.map_or(&[], |mask| &mask.paths)
}

/// What a method takes.
#[derive(Debug)]
pub(super) struct Allowed {
    /// Fields, with all below them.
    pub(super) fields: &'static [&'static str],
    /// Of those, paths that are not allowed themselves.
    pub(super) only_below: &'static [&'static str],
}

impl Allowed {
    pub(super) const fn all_of(fields: &'static [&'static str]) -> Self {
        Self { fields, only_below: &[] }
    }

    /// Check a mask for messages of this type.
    pub(super) fn check(&self, full_name: &str, paths: &[String]) -> Result<(), Failure> {
        let message = descriptor(full_name);
        let takes = |path: &str| {
            let root = path.split('.').next().unwrap_or_default();
            // Fields that nobody needs are not in the definitions here, and are taken by their names.
            let leads_somewhere = message.get_field_by_name(root).is_none() || exists(&message, path);
            self.fields.contains(&root) && !self.only_below.contains(&path) && leads_somewhere
        };
        let forbidden: Vec<_> = paths.iter().filter(|path| !takes(path)).cloned().collect();
        if forbidden.is_empty() {
            return Ok(());
        }
        let format = "forbidden path(s) in field mask";
        let failure = Failure::new(Code::InvalidArgument, "pkg/rpcmiddleware/validator", "field_mask_paths", format);
        Err(failure.with_value("forbidden_paths", Attribute::Texts(forbidden)))
    }
}

/// Whether a path leads somewhere in these definitions.
fn exists(message: &MessageDescriptor, path: &str) -> bool {
    let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
    match (message.get_field_by_name(name), below) {
        (Some(field), Some(_)) if field.is_map() || field.is_list() => false,
        (Some(field), Some(below)) => match field.kind() {
            Kind::Message(inner) => exists(&inner, below),
            _ => false,
        },
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// Copy what these paths name, and clear in the target what is not set in the source.
pub(super) fn copy<'p>(from: &DynamicMessage, to: &mut DynamicMessage, paths: impl IntoIterator<Item = &'p String>) {
    for path in paths {
        copy_path(from, to, path);
    }
}

fn copy_path(from: &DynamicMessage, to: &mut DynamicMessage, path: &str) {
    let (name, below) = path.split_once('.').map_or((path, None), |(name, below)| (name, Some(below)));
    let Some(field) = to.descriptor().get_field_by_name(name) else { return };
    match (below, field.kind()) {
        (None, _) if from.has_field(&field) => to.set_field(&field, from.get_field(&field).into_owned()),
        (None, _) => to.clear_field(&field),
        (Some(below), Kind::Message(inner)) if !field.is_map() && !field.is_list() => {
            if !from.has_field(&field) && !to.has_field(&field) {
                return;
            }
            let source = from.get_field(&field).as_message().cloned().unwrap_or_else(|| DynamicMessage::new(inner));
            if let Value::Message(target) = to.get_field_mut(&field) {
                copy_path(&source, target, below);
            }
        }
        (Some(_), _) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::rpc::proto::v3::{EndDevice, KeyEnvelope, RootKeys};

    use super::*;

    const DEVICE: &str = "ttn.lorawan.v3.EndDevice";

    fn dynamic(device: &EndDevice) -> DynamicMessage {
        super::dynamic(DEVICE, device)
    }

    #[test]
    fn a_path_copies_what_it_names_and_clears_what_is_not_there() {
        let key = Some(KeyEnvelope { key: vec![1; 16], kek_label: "k".into(), ..KeyEnvelope::default() });
        let roots = RootKeys { app_key: key, root_key_id: "r".into(), ..RootKeys::default() };
        let from = EndDevice { name: "n".into(), root_keys: Some(roots), ..EndDevice::default() };
        let mut to = dynamic(&EndDevice { description: "d".into(), ..EndDevice::default() });
        copy(&dynamic(&from), &mut to, &["name".into(), "description".into(), "root_keys.app_key.key".into()]);
        let copied: EndDevice = to.transcode_to().unwrap();
        assert_eq!((copied.name.as_str(), copied.description.as_str()), ("n", ""));
        let roots = copied.root_keys.unwrap();
        assert_eq!(roots.root_key_id, "");
        assert_eq!(roots.app_key, Some(KeyEnvelope { key: vec![1; 16], ..KeyEnvelope::default() }));
        let mut to = dynamic(&EndDevice::default());
        copy(&dynamic(&EndDevice::default()), &mut to, &["session.dev_addr".into()]);
        assert_eq!(to.transcode_to::<EndDevice>().unwrap(), EndDevice::default());
    }

    #[test]
    fn paths_of_others_are_refused() {
        let allowed = Allowed { fields: &["session", "attributes", "serial_number"], only_below: &["session"] };
        let check = |path: &str| allowed.check(DEVICE, &[path.to_owned()]);
        assert!(["session.dev_addr", "attributes", "serial_number"].iter().all(|path| check(path).is_ok()));
        assert!(["session", "session.dev_addr.x", "attributes.room", "name"].iter().all(|path| check(path).is_err()));
    }
}
