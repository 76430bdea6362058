//! Downlinks and dry runs at the Application Server.

use jiff::Timestamp;
use tonic::{Code, Request, Response, Status};

use super::mask::dynamic;
use super::stream::Told;
use super::{Servers, of_application, of_device};
use crate::rpc::proto::v3::app_as_server::AppAs;
use crate::rpc::proto::v3::application_downlink::ConfirmedRetry;
use crate::rpc::proto::v3::application_up::Up;
use crate::rpc::proto::v3::{
    ApplicationDownlink, ApplicationDownlinks, ApplicationIdentifiers, ApplicationUp, DecodeUplinkRequest,
    DecodeUplinkResponse, DownlinkQueueRequest, EncodeDownlinkRequest, EncodeDownlinkResponse, EndDeviceIdentifiers,
    MessagePayloadFormatters, MqttConnectionInfo,
};
use crate::sandbox::structure;
use crate::sandbox::v3::downlink::{ClassBC, Downlink};
use crate::sandbox::v3::failure::Failure;
use crate::sandbox::v3::formatter;
use crate::sandbox::v3::right::{INFO, TRAFFIC_DOWN_WRITE, TRAFFIC_READ, TRAFFIC_UP_WRITE};
use crate::sandbox::v3::storage::UP;

fn read(sent: ApplicationDownlink) -> Downlink {
    let retry = sent.confirmed_retry.unwrap_or_default();
    let class_b_c = sent.class_b_c.map(|options| {
        let time = options.absolute_time.unwrap_or_default();
        let time = options.absolute_time.and_then(|_| Timestamp::new(time.seconds, time.nanos).ok());
        ClassBC::new(
            options.gateways.into_iter().map(|antenna| {
                let ids = antenna.gateway_ids.unwrap_or_default();
                (ids.gateway_id, ids.eui, antenna.antenna_index, antenna.group_index)
            }),
            time,
        )
    });
    Downlink {
        session_key_id: sent.session_key_id,
        f_port: sent.f_port,
        f_cnt: sent.f_cnt,
        frm_payload: sent.frm_payload,
        decoded_payload: sent.decoded_payload.map(structure::to_json),
        confirmed: sent.confirmed,
        class_b_c,
        priority: u8::try_from(sent.priority).ok().filter(|priority| *priority <= 6).unwrap_or(0),
        correlation_ids: sent.correlation_ids,
        attempt: retry.attempt,
        max_attempts: retry.max_attempts,
    }
}

impl Servers {
    async fn queue(
        &self,
        request: Request<DownlinkQueueRequest>,
        method: &'static str,
        replaces: bool,
    ) -> Result<Response<()>, Status> {
        let subject = |request: &DownlinkQueueRequest| of_device(request.end_device_ids.as_ref());
        let work = |request: DownlinkQueueRequest| {
            let subject = of_device(request.end_device_ids.as_ref());
            let call = self.0.new_id(&format!("rpc:{method}"));
            let downlinks = request.downlinks.into_iter().map(read).collect();
            let dev_id = subject.dev_id.unwrap_or_default();
            self.0.take_downlinks(&subject.app_id, &dev_id, replaces, downlinks, Some(&call))
        };
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_DOWN_WRITE], work).await
    }
}

#[tonic::async_trait]
impl AppAs for Servers {
    type SubscribeStream = Told;

    async fn subscribe(&self, request: Request<ApplicationIdentifiers>) -> Result<Response<Told>, Status> {
        self.tell(request).await
    }

    async fn downlink_queue_push(&self, request: Request<DownlinkQueueRequest>) -> Result<Response<()>, Status> {
        self.queue(request, "/ttn.lorawan.v3.AppAs/DownlinkQueuePush", false).await
    }

    async fn downlink_queue_replace(&self, request: Request<DownlinkQueueRequest>) -> Result<Response<()>, Status> {
        self.queue(request, "/ttn.lorawan.v3.AppAs/DownlinkQueueReplace", true).await
    }

    async fn downlink_queue_list(
        &self,
        request: Request<EndDeviceIdentifiers>,
    ) -> Result<Response<ApplicationDownlinks>, Status> {
        let work = |ids: EndDeviceIdentifiers| {
            let mut registry = self.0.registry();
            let device = registry.device(&of_device(Some(&ids)).app_id, &ids.device_id);
            let session = device.as_ref().ok().and_then(|device| device.session.clone());
            let Some((session, device)) = session.zip(device.ok()) else { return Ok(ApplicationDownlinks::default()) };
            let downlinks = (session.downlinks..).zip(&device.waiting).map(|(f_cnt, waiting)| ApplicationDownlink {
                session_key_id: session.key_id.clone(),
                f_port: waiting.f_port,
                f_cnt,
                frm_payload: waiting.frm_payload.clone(),
                confirmed: waiting.confirmed,
                priority: waiting.priority.into(),
                correlation_ids: waiting.correlation_ids.clone(),
                confirmed_retry: (waiting.attempt > 0 || waiting.max_attempts.is_some())
                    .then_some(ConfirmedRetry { attempt: waiting.attempt, max_attempts: waiting.max_attempts }),
                ..ApplicationDownlink::default()
            });
            Ok(ApplicationDownlinks { downlinks: downlinks.collect() })
        };
        let subject = |ids: &EndDeviceIdentifiers| of_device(Some(ids));
        let method = "/ttn.lorawan.v3.AppAs/DownlinkQueueList";
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_READ], work).await
    }

    async fn get_mqtt_connection_info(
        &self,
        request: Request<ApplicationIdentifiers>,
    ) -> Result<Response<MqttConnectionInfo>, Status> {
        let work = |ids: ApplicationIdentifiers| {
            let username = self.0.registry().uid(&ids.application_id);
            let (public_address, public_tls_address) = self.0.broker.get().cloned().unwrap_or_default();
            Ok(MqttConnectionInfo { public_address, public_tls_address, username })
        };
        let subject = |ids: &ApplicationIdentifiers| of_application(Some(ids));
        let method = "/ttn.lorawan.v3.AppAs/GetMQTTConnectionInfo";
        self.0.answer(request, method, subject, |_| vec![INFO], work).await
    }

    async fn simulate_uplink(&self, request: Request<ApplicationUp>) -> Result<Response<()>, Status> {
        let method = "/ttn.lorawan.v3.AppAs/SimulateUplink";
        let work = |up: ApplicationUp| {
            if up.simulated {
                let (namespace, format) =
                    ("pkg/applicationserver/io/grpc", "simulated traffic cannot be simulated again");
                return Err(Failure::new(Code::InvalidArgument, namespace, "simulated", format));
            }
            let subject = of_device(up.end_device_ids.as_ref());
            let (app_id, dev_id) = (subject.app_id, subject.dev_id.unwrap_or_default());
            let mut correlation_ids = up.correlation_ids.clone();
            correlation_ids.push(self.0.new_id(&format!("rpc:{method}")));
            match &up.up {
                Some(Up::UplinkMessage(uplink)) => self.0.simulate(&app_id, &dev_id, correlation_ids, uplink),
                Some(_) => {
                    self.0.pass_on(&app_id, &dev_id, correlation_ids, &dynamic(UP, &up));
                    Ok(())
                }
                None => Err(Failure::invalid(&[("ApplicationUp", "up")], "value is required")),
            }
        };
        let subject = |up: &ApplicationUp| of_device(up.end_device_ids.as_ref());
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_UP_WRITE], work).await
    }

    async fn encode_downlink(
        &self,
        request: Request<EncodeDownlinkRequest>,
    ) -> Result<Response<EncodeDownlinkResponse>, Status> {
        let work = |request: EncodeDownlinkRequest| {
            let formatters = MessagePayloadFormatters {
                down_formatter: request.formatter,
                down_formatter_parameter: request.parameter,
                ..MessagePayloadFormatters::default()
            };
            let mut downlink = request.downlink.unwrap_or_default();
            let fields = structure::to_json(downlink.decoded_payload.clone().unwrap_or_default());
            let encoded = formatter::encode(&formatters, &fields, downlink.f_port)?;
            downlink.frm_payload = encoded.bytes;
            downlink.f_port = encoded.port.unwrap_or(downlink.f_port);
            Ok(EncodeDownlinkResponse { downlink: Some(downlink) })
        };
        let subject = |request: &EncodeDownlinkRequest| of_device(request.end_device_ids.as_ref());
        let method = "/ttn.lorawan.v3.AppAs/EncodeDownlink";
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_READ], work).await
    }

    async fn decode_uplink(
        &self,
        request: Request<DecodeUplinkRequest>,
    ) -> Result<Response<DecodeUplinkResponse>, Status> {
        let work = |request: DecodeUplinkRequest| {
            let formatters = MessagePayloadFormatters {
                up_formatter: request.formatter,
                up_formatter_parameter: request.parameter,
                ..MessagePayloadFormatters::default()
            };
            let mut uplink = request.uplink.unwrap_or_default();
            let decoded = formatter::decode(&formatters, &uplink.frm_payload, uplink.f_port)?;
            uplink.decoded_payload = decoded.data.as_ref().map(structure::from_json);
            uplink.decoded_payload_warnings = decoded.warnings;
            uplink.normalized_payload = decoded.normalized.iter().map(structure::from_json).collect();
            uplink.normalized_payload_warnings = decoded.normalized_warnings;
            Ok(DecodeUplinkResponse { uplink: Some(uplink) })
        };
        let subject = |request: &DecodeUplinkRequest| of_device(request.end_device_ids.as_ref());
        let method = "/ttn.lorawan.v3.AppAs/DecodeUplink";
        self.0.answer(request, method, subject, |_| vec![TRAFFIC_READ], work).await
    }
}
