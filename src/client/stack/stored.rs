//! What the storage integration keeps of an application's messages (V3 3.4.14).

use jiff::Timestamp;
use prost::Message as _;
use prost_reflect::DynamicMessage;

use super::Stack;
use crate::error::Result;
use crate::rpc::json;
use crate::rpc::message::{decode, descriptor};
use crate::rpc::proto::v3;

impl Stack {
    /// So many of the messages of this kind, or of all kinds where it is empty, that the Application Server received after
    /// this, the oldest first: each as it was published over MQTT, but for what these definitions do not know.
    ///
    /// # Errors
    /// What the server says; what came before is given all the same. A message that cannot be read is an error of its own.
    pub async fn stored(
        &self,
        kind: &str,
        after: Timestamp,
        limit: usize,
        mut each: impl FnMut(Result<String>) + Send,
    ) -> Result<()> {
        let request = v3::GetStoredApplicationUpRequest {
            application_ids: Some(self.application_ids()),
            r#type: kind.to_owned(),
            limit: u32::try_from(limit).ok(),
            after: Some(prost_types::Timestamp { seconds: after.as_second(), nanos: after.subsec_nanosecond() }),
            order: "received_at".to_owned(),
            ..v3::GetStoredApplicationUpRequest::default()
        };
        let described = descriptor("ttn.lorawan.v3.ApplicationUp");
        let (method, options) = self.method("ApplicationUpStorage", "GetStoredApplicationUp")?;
        let read = |bytes| decode(&described, bytes).map(|up: DynamicMessage| json::write(&up));
        self.cluster.stream(&method, request.encode_to_vec().into(), &options, |bytes| each(read(bytes))).await
    }
}
