//! Envoy's statistics, as Prometheus reads them.

use std::collections::BTreeMap;

use crate::house::House;

impl House {
    /// All of them.
    pub async fn statistics(&self) -> String {
        let url = format!("{}/stats/prometheus", self.envoy().admin_url());
        let answer = self.http.get(url).send().await.expect("Envoy's statistics");
        answer.text().await.expect("text")
    }

    /// A figure that each worker has, by the number of the worker.
    pub async fn of_each_worker(&self, figure: &str) -> BTreeMap<u32, u64> {
        let start = format!("portcullis_worker_{figure}{{worker=\"");
        let statistics = self.statistics().await;
        let figures = statistics.lines().filter_map(|line| line.strip_prefix(&start)?.split_once("\"} "));
        figures.map(|(worker, value)| (worker.parse().expect("a number"), value.parse().expect("a figure"))).collect()
    }
}
