//! Packets that cannot be read or written.

use rumqttc::{mqttbytes, v5};

/// What is wrong with a packet. The stream cannot be followed any further.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum Malformed {
    /// By the codec of MQTT 3.1.1.
    #[error(transparent)]
    V311(#[from] mqttbytes::Error),
    /// By the codec of MQTT 5.
    #[error(transparent)]
    V5(#[from] v5::mqttbytes::Error),
    #[error("a topic that is no text: {0}")]
    Topic(#[from] std::string::FromUtf8Error),
    #[error("a packet that ends before its contents")]
    Cut,
    #[error("a topic longer than its packet")]
    TopicOverrun,
    #[error("a message at QoS 2, which nobody asked for")]
    ExactlyOnce,
    #[error("a packet of type {kind} with {size} bytes")]
    Oversize {
        /// Its number in the first byte.
        kind: u8,
        /// After the fixed header.
        size: usize,
    },
    #[error("a server does not send packets of type {0}")]
    Strange(&'static str),
    #[error("a second answer to the login")]
    SecondLogin,
    #[error("another packet came instead of the answer to the login")]
    NoLogin,
    #[error("an answer to a subscription with another number of filters")]
    Filters,
}
