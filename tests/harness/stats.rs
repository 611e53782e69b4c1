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

    /// How many connections each of Envoy's threads has taken from callers.
    pub async fn connections_of_threads(&self) -> Vec<u64> {
        let url = format!("{}/stats?filter=worker_[0-9]+.downstream_cx_total", self.envoy().admin_url());
        let text = self.http.get(url).send().await.expect("Envoy's statistics").text().await.expect("text");
        text.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse().ok()).collect()
    }
}
