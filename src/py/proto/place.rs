//! Where a message is kept: a whole one, or a part of another one that changes with it.

use std::sync::Arc;

use bytes::Bytes;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value};

use pyo3::prelude::*;

use crate::rpc::message::decode;
use crate::sync::{Mutex, MutexGuard};

/// A whole message. What came from a server stays encoded until somebody looks at it.
struct Root {
    descriptor: MessageDescriptor,
    state: Mutex<State>,
    beside: Option<Arc<dyn Beside>>,
}

/// What belongs to a message beside its fields, and what of it is still to be asked for.
pub(in crate::py) trait Beside: Send + Sync {
    /// Have all of the message there; called before somebody looks at more than its single values.
    fn complete(&self, py: Python<'_>, place: &Place) -> PyResult<()>;
    /// An attribute that is no field.
    fn attribute(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>>;
}

enum State {
    Encoded(Bytes),
    Decoded(Box<DynamicMessage>),
}

/// One step from a message to a part of it.
#[derive(Clone)]
struct Step {
    field: FieldDescriptor,
    index: Option<usize>,
}

/// A message, or a part of one.
#[derive(Clone)]
pub(in crate::py) struct Place {
    root: Arc<Root>,
    path: Vec<Step>,
}

impl Place {
    /// A new message.
    pub(in crate::py) fn new(message: DynamicMessage) -> Self {
        Self::rooted(message, None)
    }

    /// A new message, with what belongs to it.
    pub(in crate::py) fn beside(message: DynamicMessage, beside: Arc<dyn Beside>) -> Self {
        Self::rooted(message, Some(beside))
    }

    fn rooted(message: DynamicMessage, beside: Option<Arc<dyn Beside>>) -> Self {
        let descriptor = message.descriptor();
        let root = Root { descriptor, state: Mutex::new(State::Decoded(Box::new(message))), beside };
        Self { root: Arc::new(root), path: Vec::new() }
    }

    /// Have all of the message there.
    pub(in crate::py) fn complete(&self, py: Python<'_>) -> PyResult<()> {
        self.root.beside.as_ref().map_or(Ok(()), |beside| beside.complete(py, self))
    }

    /// An attribute that is no field; those of a whole message alone have some.
    pub(super) fn attribute(&self, py: Python<'_>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        match &self.root.beside {
            Some(beside) if self.path.is_empty() => {
                let attribute = beside.attribute(py, name)?;
                if attribute.is_none() {
                    return Ok(None);
                }
                self.complete(py)?;
                beside.attribute(py, name)
            }
            _ => Ok(None),
        }
    }

    /// A message that has been checked and is still encoded.
    pub(in crate::py) fn encoded(descriptor: MessageDescriptor, bytes: Bytes) -> Self {
        let root = Root { descriptor, state: Mutex::new(State::Encoded(bytes)), beside: None };
        Self { root: Arc::new(root), path: Vec::new() }
    }

    /// The part in a field, or at an index of it.
    pub(super) fn part(&self, field: FieldDescriptor, index: Option<usize>) -> Self {
        let mut path = self.path.clone();
        path.push(Step { field, index });
        Self { root: self.root.clone(), path }
    }

    /// The type of the message.
    pub(in crate::py) fn descriptor(&self) -> MessageDescriptor {
        self.path.last().map_or_else(|| self.root.descriptor.clone(), |step| message_type(&step.field))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.root.state.lock()
    }

    /// Decode what was checked when it came in: a message that cannot be read does not get here.
    fn decoded(&self, bytes: &Bytes) -> DynamicMessage {
        decode(&self.root.descriptor, bytes.clone())
            .unwrap_or_else(|_| DynamicMessage::new(self.root.descriptor.clone()))
    }

    /// Look at the message; an unset part is an empty one. `action` must not run Python code.
    pub(in crate::py) fn read<R>(&self, action: impl FnOnce(&DynamicMessage) -> R) -> R {
        fn descend<R>(message: &DynamicMessage, path: &[Step], action: impl FnOnce(&DynamicMessage) -> R) -> R {
            let Some((step, rest)) = path.split_first() else { return action(message) };
            let value = message.get_field(&step.field);
            let part = match (&*value, step.index) {
                (Value::Message(part), None) => Some(part),
                (Value::List(parts), Some(index)) => parts.get(index).and_then(Value::as_message),
                _ => None,
            };
            match part {
                Some(part) => descend(part, rest, action),
                None => descend(&DynamicMessage::new(message_type(&step.field)), rest, action),
            }
        }
        // Not kept decoded: in a list of thousands that would take ten times the memory, and reading is quick.
        match &*self.state() {
            State::Decoded(message) => descend(message, &self.path, action),
            State::Encoded(bytes) => descend(&self.decoded(bytes), &self.path, action),
        }
    }

    /// Change the message; an unset part is set by this. `action` must not run Python code.
    pub(in crate::py) fn write<R>(&self, action: impl FnOnce(&mut DynamicMessage) -> R) -> R {
        let mut state = self.state();
        if let State::Encoded(bytes) = &*state {
            *state = State::Decoded(Box::new(self.decoded(bytes)));
        }
        let State::Decoded(message) = &mut *state else { unreachable!("decoded above") };
        let mut message = &mut **message;
        for step in &self.path {
            let value = message.get_field_mut(&step.field);
            let part = match (value, step.index) {
                (Value::Message(part), None) => Some(part),
                (Value::List(parts), Some(index)) => parts.get_mut(index).and_then(Value::as_message_mut),
                _ => None,
            };
            match part {
                Some(part) => message = part,
                // An element that somebody has removed: the change goes nowhere, as with any removed object.
                None => return action(&mut DynamicMessage::new(message_type(&step.field))),
            }
        }
        action(message)
    }

    /// A copy of the message.
    pub(in crate::py) fn copy(&self) -> DynamicMessage {
        self.read(Clone::clone)
    }

    /// The value of a field.
    pub(super) fn value(&self, field: &FieldDescriptor) -> Value {
        self.read(|message| message.get_field(field).into_owned())
    }
}

/// The type of the messages in a field.
pub(super) fn message_type(field: &FieldDescriptor) -> MessageDescriptor {
    match field.kind() {
        Kind::Message(descriptor) => descriptor,
        // Steps are only made through fields of messages.
        _ => field.parent_message().clone(),
    }
}
