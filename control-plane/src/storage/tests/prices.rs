//! The history of prices.

use portcullis_core::api::Access;
use portcullis_core::path::Prefix;
use portcullis_core::wire::Record;

use super::replica::records;
use super::*;
use crate::domain::api::{Api, Price, Route};
use crate::domain::gateway::Serves;

pub(super) fn api(number: u32, access: Access, price: Option<Price>) -> NewApi {
    NewApi {
        name: name(&format!("api-{number}")),
        access,
        route: Route { hosts: Vec::new(), path_prefix: Prefix::read(&format!("/v{number}")).unwrap() },
        rate_limit: None,
        price,
        count_tokens: true,
        forward_credential: false,
    }
}

pub(super) fn price(call: u64, input: u64, output: u64) -> Price {
    Price { per_call_micros: call, per_million_input_tokens_micros: input, per_million_output_tokens_micros: output }
}

on_both! {
    async fn each_price_has_a_number_that_workers_are_told_and_is_kept(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let first = write.create_api(api(1, Access::Serverless, Some(price(1, 0, 0)))).await.unwrap().unwrap();
        assert_eq!(write.commit().await.unwrap(), Some(1));
        let change = async |before: &Api, after: Api| {
            let mut write = fixture.write().await;
            let stored = write.change_api(before, after).await.unwrap().unwrap();
            assert_eq!(write.view().api(before.id).await.unwrap(), Some(stored.clone()));
            (stored, write.commit().await.unwrap())
        };
        // Whatever number the caller says.
        let sent = Api { price: None, price_version: 9, ..first.clone() };
        let (free, revision) = change(&first, sent).await;
        assert_eq!((free.price_version, free.price, revision), (2, None, Some(2)));
        let (renamed, revision) = change(&free, Api { name: name("another"), ..free.clone() }).await;
        assert_eq!((renamed.price_version, revision), (2, None));
        let (dear, _) = change(&renamed, Api { price: Some(price(7, 0, 0)), ..renamed.clone() }).await;
        let Delta::Page { body, .. } = fixture.store.delta(2, 3, &Serves::Everything).await.unwrap() else {
            panic!("too far");
        };
        assert_eq!(records(&body), [Record::Api(dear.record())]);
        let mut write = fixture.write().await;
        write.delete_api(&dear).await.unwrap();
        let prices = write.view().prices(&[dear.id], &[1, 2, 5]).await.unwrap().remove(&dear.id).unwrap();
        let per_call = [1, 2, 3, 5].map(|version| prices.numbered(version).map(|price| price.per_call_micros));
        assert_eq!(per_call, [Some(1), None, Some(7), Some(7)], "one that is not known is the newest");
    }

    async fn a_price_that_was_not_committed_was_never_there(fixture: &Fixture) {
        let mut write = fixture.write().await;
        let api = write.create_api(api(1, Access::Serverless, None)).await.unwrap().unwrap();
        write.commit().await.unwrap();
        let mut write = fixture.write().await;
        let after = Api { price: Some(price(1, 1, 1)), ..api.clone() };
        write.change_api(&api, after).await.unwrap().unwrap();
        drop(write);
        let mut write = fixture.write().await;
        assert_eq!(write.view().prices(&[api.id], &[2]).await.unwrap()[&api.id].numbered(2), None);
        assert_eq!(write.view().api(api.id).await.unwrap(), Some(api));
    }
}
