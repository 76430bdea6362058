//! The client of The Things Network against the sandbox.

use thingslink::Error;
use thingslink::client::{Body, Delivery, Wanted};
use thingslink::dialect::lorawan::{Downlink, Payload, Schedule};
use thingslink::endpoint::Trust;
use thingslink::ids::{AccessKey, DevId};
use thingslink::sandbox::UplinkFrame;
use thingslink::session::QoS;

use crate::consumer::{Consumer, PATIENCE, config, sandbox};

fn downlink(bytes: &[u8]) -> Downlink {
    Downlink { port: 1, confirmed: false, schedule: Schedule::Last, payload: Payload::from_bytes(bytes), options: None }
}

#[tokio::test]
async fn uplinks_come_in_and_downlinks_go_out() {
    let sandbox = sandbox().await;
    let mut consumer = Consumer::new(&sandbox.mqtt_address(), config());
    consumer.connect().await;
    let frame = UplinkFrame { payload: Some(vec![1, 2]), ..UplinkFrame::default() };
    sandbox.uplink("demo-app", "node-1", &frame).await.unwrap();
    let message = consumer.message().await;
    let Body::Json(document) = &message.body else { panic!("{message:?}") };
    assert_eq!(document.root().get("payload_raw").unwrap().as_str().unwrap(), "AQI=");
    let mid = consumer.client.send(&DevId::new("node-1").unwrap(), &downlink(&[1])).unwrap();
    assert!(matches!(consumer.next().await, Delivery::Sent(sent) if sent == mid));
    consumer.client.want(Wanted { sent: false, ..Wanted::ALL });
    consumer.client.send(&DevId::new("node-1").unwrap(), &downlink(&[2])).unwrap();
    consumer.client.close(PATIENCE).await;
    assert!(matches!(consumer.next().await, Delivery::Closed { online: true }));
    assert_eq!(sandbox.downlinks("demo-app", "node-1"), ["AQ==", "Ag=="]);
    assert_eq!(consumer.client.stats().sent, 2);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_wrong_key_is_told_and_the_client_stays_usable() {
    let sandbox = sandbox().await;
    let mut wrong = config();
    wrong.access_key = AccessKey::new("wrong");
    let mut consumer = Consumer::new(&sandbox.mqtt_address(), wrong);
    for _ in 0..2 {
        let error = consumer.try_connect().await.unwrap_err();
        assert!(matches!(error, Error::Refused { code: 4, .. }), "{error}");
        assert_eq!(error.to_string(), "connection refused -bad app_id or access_key");
        assert!(matches!(consumer.next().await, Delivery::Refused { code: 4 }));
    }
    assert!(matches!(consumer.client.send(&DevId::new("node-1").unwrap(), &downlink(&[1])), Err(Error::NotConnected)));
}

#[tokio::test]
async fn a_cut_connection_comes_back_with_its_subscriptions() {
    let sandbox = sandbox().await;
    let mut consumer = Consumer::new(&sandbox.mqtt_address(), config());
    consumer.connect().await;
    for round in 0..5 {
        assert_eq!(sandbox.cut(None), 1);
        assert!(matches!(consumer.next().await, Delivery::Lost(_)), "round {round}");
        assert!(matches!(consumer.next().await, Delivery::Connected { .. }), "round {round}");
        // Connected tells that the subscription stands: the very next uplink must come.
        sandbox.uplink("demo-app", "node-1", &UplinkFrame::default()).await.unwrap();
        consumer.message().await;
    }
    assert_eq!(consumer.client.stats().reconnects, 5);
}

#[tokio::test]
async fn without_reconnect_a_loss_is_final() {
    let sandbox = sandbox().await;
    let mut once = config();
    once.reconnect = false;
    let mut consumer = Consumer::new(&sandbox.mqtt_address(), once);
    consumer.connect().await;
    sandbox.cut(None);
    assert!(matches!(consumer.next().await, Delivery::Lost(_)));
    assert!(!consumer.client.is_connected());
    consumer.client.close(PATIENCE).await;
    assert!(matches!(consumer.next().await, Delivery::Closed { online: false }));
    consumer.connect().await;
}

#[tokio::test]
async fn tls_trusts_the_given_certificate_and_no_other() {
    let sandbox = sandbox().await;
    let mut trusting = config();
    trusting.trust = Trust::Pem(sandbox.certificate().into());
    let mut consumer = Consumer::new(&sandbox.mqtts_address().unwrap(), trusting.clone());
    consumer.connect().await;
    sandbox.uplink("demo-app", "node-1", &UplinkFrame::default()).await.unwrap();
    consumer.message().await;
    consumer.client.close(PATIENCE).await;

    let other = self::sandbox().await;
    let mut wrong = trusting;
    wrong.trust = Trust::Pem(other.certificate().into());
    let error = Consumer::new(&sandbox.mqtts_address().unwrap(), wrong).try_connect().await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
}

#[tokio::test]
async fn at_qos_1_nothing_is_lost_when_the_sandbox_restarts_in_the_middle() {
    let sandbox = sandbox().await;
    let mut keeping = config();
    keeping.qos = QoS::AtLeastOnce;
    keeping.clean_session = false;
    keeping.client_id = "keeper".into();
    let mut consumer = Consumer::new(&sandbox.mqtt_address(), keeping);
    consumer.connect().await;
    let total = 1000_u32;
    for counter in 0..total {
        sandbox.uplink("demo-app", "node-1", &UplinkFrame::default()).await.unwrap();
        if counter % 100 == 50 {
            sandbox.stop().await;
            sandbox.resume().await.unwrap();
        }
        if counter % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut next = 0;
    while next < total {
        let message = consumer.message().await;
        let Body::Json(document) = &message.body else { panic!("{message:?}") };
        let counter = document.root().get("counter").unwrap().as_i64().unwrap();
        // A repetition may come after a reconnect; a gap may not.
        assert!(counter <= i64::from(next), "{counter} came before {next}");
        if counter == i64::from(next) {
            next += 1;
        }
    }
}
