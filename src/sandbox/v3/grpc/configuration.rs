//! What the servers say of themselves and of the networks that they serve, for whoever has a key.

use tonic::{Request, Response, Status};

use super::{Servers, of_application};
use crate::rpc::proto::v3::configuration_server::Configuration;
use crate::rpc::proto::v3::js_server::Js;
use crate::rpc::proto::v3::ns_server::Ns;
use crate::rpc::proto::v3::{
    GenerateDevAddrResponse, GetDefaultJoinEuiResponse, GetDefaultMacSettingsRequest, GetNetIdResponse,
    ListFrequencyPlansRequest, ListFrequencyPlansResponse, MacSettings,
};
use crate::sandbox::v3::mac::default_settings;
use crate::sandbox::v3::plan;
use crate::sandbox::v3::registry::NET_ID;

#[tonic::async_trait]
impl Configuration for Servers {
    async fn list_frequency_plans(
        &self,
        request: Request<ListFrequencyPlansRequest>,
    ) -> Result<Response<ListFrequencyPlansResponse>, Status> {
        let work = |asked| Ok(ListFrequencyPlansResponse { frequency_plans: plan::list(&asked) });
        let method = "/ttn.lorawan.v3.Configuration/ListFrequencyPlans";
        self.0.answer(request, method, |_| of_application(None), |_| Vec::new(), work).await
    }
}

#[tonic::async_trait]
impl Ns for Servers {
    async fn generate_dev_addr(&self, request: Request<()>) -> Result<Response<GenerateDevAddrResponse>, Status> {
        let work = |()| Ok(GenerateDevAddrResponse { dev_addr: self.0.registry().new_address().to_vec() });
        let method = "/ttn.lorawan.v3.Ns/GenerateDevAddr";
        self.0.answer(request, method, |()| of_application(None), |()| Vec::new(), work).await
    }

    async fn get_net_id(&self, request: Request<()>) -> Result<Response<GetNetIdResponse>, Status> {
        let work = |()| Ok(GetNetIdResponse { net_id: NET_ID.to_vec() });
        let method = "/ttn.lorawan.v3.Ns/GetNetID";
        self.0.answer(request, method, |()| of_application(None), |()| Vec::new(), work).await
    }

    async fn get_default_mac_settings(
        &self,
        request: Request<GetDefaultMacSettingsRequest>,
    ) -> Result<Response<MacSettings>, Status> {
        let work = |asked| default_settings(&asked);
        let method = "/ttn.lorawan.v3.Ns/GetDefaultMACSettings";
        self.0.answer(request, method, |_| of_application(None), |_| Vec::new(), work).await
    }
}

#[tonic::async_trait]
impl Js for Servers {
    async fn get_default_join_eui(&self, request: Request<()>) -> Result<Response<GetDefaultJoinEuiResponse>, Status> {
        let work = |()| Ok(GetDefaultJoinEuiResponse { join_eui: vec![0; 8] });
        let method = "/ttn.lorawan.v3.Js/GetDefaultJoinEUI";
        self.0.answer(request, method, |()| of_application(None), |()| Vec::new(), work).await
    }
}
