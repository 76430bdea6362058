//! Downlinks handed over to a stack's Application Server, whose answer says whether the network has them (V3 3.4.10).

use prost_reflect::DynamicMessage;

use super::Client;
use crate::client::stack::Stack;
use crate::error::{Error, Result};
use crate::ids::DevId;
use crate::rpc::proto::v3;
use crate::rpc::{json, message};

/// What the body of such a message is called, and what it is.
const NAME: &str = "ttn.lorawan.v3.DownlinkQueueRequest";
const EXPECTED: &str = "expected {\"downlinks\": [...]} as The Things Stack V3 takes it over MQTT";

/// The queues of an application's devices.
#[derive(Clone, Debug)]
pub struct Queues(Stack);

impl Client {
    /// The way to the queues of devices; `None` where no management address is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for certificates that cannot be used.
    pub fn queues(&self) -> Result<Option<Queues>> {
        Ok(self.inner.platform.stack()?.map(Queues))
    }
}

impl Queues {
    /// Append downlinks to a device's queue, or have them replace it, as another client has written them for MQTT. All are
    /// taken or none.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is no such message, else what the Application Server says.
    pub async fn put(&self, dev_id: &DevId, body: &[u8], replaces: bool) -> Result<()> {
        let request = read(body)?;
        self.0.queue(dev_id.as_str(), request.downlinks, replaces).await
    }
}

fn read(body: &[u8]) -> Result<v3::DownlinkQueueRequest> {
    let unreadable = |why: &dyn std::fmt::Display| Error::Malformed {
        message: NAME.to_owned(),
        reason: format!("{why}; {EXPECTED}"),
    };
    let json = json::parse(body).map_err(|error| unreadable(&error))?;
    let descriptor = message::descriptor(NAME);
    let read: DynamicMessage = json::read(&descriptor, &json).map_err(|error| unreadable(&error))?;
    read.transcode_to().map_err(|error| unreadable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_mqtt_is_read() {
        let body = br#"{"downlinks":[{"f_port":3,"frm_payload":"AQI=","confirmed":true,"priority":"HIGH",
            "correlation_ids":["a"]},{"f_port":4,"decoded_payload":{"on":1}}]}"#;
        let [one, two] = &read(body).unwrap().downlinks[..] else { unreachable!() };
        assert_eq!((one.f_port, &one.frm_payload[..], one.confirmed), (3, &[1, 2][..], true));
        assert_eq!((one.priority(), &one.correlation_ids[..]), (v3::TxSchedulePriority::High, &["a".to_owned()][..]));
        assert!(two.decoded_payload.as_ref().is_some_and(|payload| payload.fields.contains_key("on")));
    }

    #[test]
    fn what_is_no_such_message_is_told() {
        for body in ["no", "[]", r#"{"downlinks":3}"#, r#"{"downlinks":[{"frm_payload":"?"}]}"#] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("DownlinkQueueRequest") && error.contains("over MQTT"), "{error}");
        }
    }
}
