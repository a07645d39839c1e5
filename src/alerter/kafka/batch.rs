//! Alerts as Kafka's records, and records as the request for one leader.

use super::{Acks, Compression, Key, Placed, Settings};
use crate::alert::Alert;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as Codec, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use std::collections::BTreeMap;

/// How long a broker may wait for its replicas.
const ACK_TIMEOUT_MS: i32 = 10_000;

pub(super) fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

pub(super) fn key(key: Key, alert: &Alert) -> Option<Vec<u8>> {
    let text = match key {
        Key::Fingerprint => Some(alert.fingerprint.as_str()),
        Key::Host => Some(alert.host.name.as_str()),
        Key::Source => alert.source.as_ref().map(|source| source.name.as_str()),
        Key::None => None,
    };
    text.map(|text| text.as_bytes().to_vec())
}

pub(super) fn record(key: Option<Vec<u8>>, alert: &Alert) -> Record {
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset: 0,
        sequence: 0,
        // Not the alert's own times, which stand in the value: brokers refuse a time an hour ahead, and delete at once what
        // is older than their retention.
        timestamp: jiff::Timestamp::now().as_millisecond(),
        key: key.map(Bytes::from),
        value: Some(Bytes::from(alert.to_json())),
        headers: Default::default(),
    }
}

/// One request for one leader: a record batch per partition.
pub(super) fn request(settings: &Settings, placed: &[Placed]) -> anyhow::Result<ProduceRequest> {
    let compression = match settings.compression {
        Compression::None => Codec::None,
        Compression::Gzip => Codec::Gzip,
        Compression::Snappy => Codec::Snappy,
    };
    let mut topics: BTreeMap<&str, BTreeMap<i32, Vec<Record>>> = BTreeMap::new();
    for one in placed {
        let records = topics.entry(&one.topic).or_default().entry(one.partition).or_default();
        let offset = records.len() as i64;
        // The encoder begins a new batch where offset and sequence do not go together; -1 is "no sequence".
        records.push(Record {
            offset,
            sequence: offset as i32 - 1,
            ..one.record.clone()
        });
    }
    let mut data = Vec::new();
    for (topic, partitions) in topics {
        let mut partition_data = Vec::new();
        for (index, records) in partitions {
            let mut buffer = BytesMut::new();
            RecordBatchEncoder::encode(
                &mut buffer,
                &records,
                &RecordEncodeOptions {
                    version: 2,
                    compression,
                },
            )?;
            partition_data.push(
                PartitionProduceData::default()
                    .with_index(index)
                    .with_records(Some(buffer.freeze())),
            );
        }
        data.push(
            TopicProduceData::default()
                .with_name(name(topic))
                .with_partition_data(partition_data),
        );
    }
    let acks = match settings.acks {
        Acks::All => -1,
        Acks::Leader => 1,
    };
    Ok(ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(ACK_TIMEOUT_MS)
        .with_topic_data(data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::alert;

    #[test]
    fn an_alert_about_an_old_record_is_not_old_for_a_brokers_retention() {
        let old = Alert {
            timestamp: Some("2001-01-01T00:00:00Z".parse().unwrap()),
            observed_at: "2001-01-01T00:00:00Z".parse().unwrap(),
            ..alert()
        };
        let stamp_ms = record(None, &old).timestamp;
        let age_ms = jiff::Timestamp::now().as_millisecond() - stamp_ms;
        assert!((0..60_000).contains(&age_ms), "{age_ms}");
    }
}
