//! What the server keeps, whole: an update replaces all of it, so what is not known here goes back as it came (CS 4.4, 4.5).

use bytes::Bytes;
use prost::Message;

use super::{ChirpStack, unreadable};
use crate::error::Result;
use crate::rpc::message::{decode, descriptor, encode};

/// Something as the server has it.
#[derive(Clone, Debug)]
pub struct Whole<M> {
    /// What it is called in the definitions.
    name: &'static str,
    /// As it came.
    pub bytes: Bytes,
    /// The same, read; what is changed here is changed by an update.
    pub read: M,
}

/// A message that has another one at number 1: all answers and all requests that are about one thing.
#[derive(Clone, PartialEq, prost::Message)]
struct About {
    #[prost(bytes = "bytes", optional, tag = "1")]
    thing: Option<Bytes>,
}

impl ChirpStack {
    /// Ask for something; `None` where the answer has nothing.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn whole<M: Message + Default>(
        &self,
        service: &str,
        method: &str,
        request: &impl Message,
        name: &'static str,
    ) -> Result<Option<Whole<M>>> {
        let reply = self.reply(service, method, request.encode_to_vec().into()).await?;
        Whole::within(reply, name).map_err(|error| unreadable(service, method, &error))
    }

    /// Replace something by what it has become.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn put<M: Message>(&self, service: &str, method: &str, whole: &Whole<M>) -> Result<()> {
        let request = About { thing: Some(whole.changed()?) };
        self.tell(service, method, &request).await
    }
}

impl<M: Message> Whole<M> {
    /// Something that is not there yet.
    pub(super) fn new(name: &'static str, read: M) -> Self {
        Self { name, bytes: Bytes::new(), read }
    }

    /// What an answer is about; `None` where it has nothing.
    pub(super) fn within(reply: Bytes, name: &'static str) -> Result<Option<Self>, prost::DecodeError>
    where
        M: Default,
    {
        let Some(bytes) = About::decode(reply)?.thing else { return Ok(None) };
        let read = M::decode(bytes.clone())?;
        Ok(Some(Self { name, bytes, read }))
    }

    /// All of it, with what was changed.
    fn changed(&self) -> Result<Bytes> {
        let described = descriptor(self.name);
        let mut whole = decode(&described, self.bytes.clone())?;
        let known = decode(&described, self.read.encode_to_vec().into())?;
        for field in described.fields() {
            if known.has_field(&field) {
                whole.set_field(&field, known.get_field(&field).into_owned());
            } else {
                whole.clear_field(&field);
            }
        }
        Ok(encode(&whole).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::proto::chirpstack::api;

    #[test]
    fn what_is_not_known_goes_back_as_it_came() {
        let known = api::Device { name: "a".to_owned(), is_disabled: true, ..api::Device::default() };
        // Number 58, and a group.
        let unknown = b"\xd2\x03\x03new\xab\x06\x08\x01\xac\x06";
        let bytes = Bytes::from([&known.encode_to_vec()[..], unknown].concat());
        let mut whole = Whole { name: "api.Device", read: api::Device::decode(bytes.clone()).unwrap(), bytes };
        assert_eq!(whole.changed().unwrap(), whole.bytes);
        whole.read.name = "b".to_owned();
        whole.read.is_disabled = false;
        let expected = api::Device { name: "b".to_owned(), ..api::Device::default() };
        assert_eq!(whole.changed().unwrap(), [&expected.encode_to_vec()[..], unknown].concat());
    }
}
