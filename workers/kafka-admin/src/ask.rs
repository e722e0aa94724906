//! What of librdkafka's API `rdkafka` does not wrap: a topic's id, what a client may do with a topic or a group, every offset of a group with what was committed beside it, a commit that nobody waits for and whose end is told, and a token for a client that nobody polls. Asks the brokers; commits.
//!
//! The product's only unsafe code. What keeps it sound: the client is borrowed for the whole of a question, so its handle
//! stays valid; every object that librdkafka hands out belongs to an [`Owned`], which gives it back once; an answer's
//! parts are copied while its event is alive; nothing is shared with another thread.

#![allow(
    unsafe_code,
    reason = "rdkafka 0.39 wraps neither DescribeTopics, which alone tells a topic's id, nor a commit whose end is told later"
)]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataBroker;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use crate::operation::Operation;

/// How much longer than the library itself we wait for its answer, which comes also when it has given up.
const GRACE: Duration = Duration::from_millis(500);

/// An offset that a group has committed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupOffset {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The offset that is next.
    pub offset: i64,
    /// What was committed beside it.
    pub metadata: String,
}

/// What the brokers say of a topic.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TopicDescription {
    /// The topic's id, as `kafka-topics.sh --describe` shows it; `None` where brokers give topics no ids (before Kafka 2.8).
    pub id: Option<String>,
    /// What this client may do with the topic; `None` where brokers do not say (before Kafka 2.3).
    pub operations: Option<BTreeSet<Operation>>,
}

/// The id of a topic: see [`TopicDescription::id`]. Blocks up to twice the time-out.
pub fn topic_id<C: ClientContext>(client: &Client<C>, topic: &str, timeout: Duration) -> KafkaResult<Option<String>> {
    describe_topic(client, topic, timeout).map(|description| description.id)
}

/// A topic's id, and what this client may do with it. One that the client may not even describe is
/// `TopicAuthorizationFailed`, be it there or not. Blocks up to twice the time-out.
pub fn describe_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<TopicDescription> {
    let name = CString::new(topic)?;
    let broker = any_broker(client, topic, timeout)?;
    let mut names = [name.as_ptr()];
    // SAFETY: one name, which lives until the end of this function; the collection copies it.
    let topics = unsafe {
        Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )
    }?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let event = ask(client, operation, broker, timeout, |options, queue| {
        // SAFETY: the client's handle, the collection, the options and the queue are alive during the call, which copies
        // what it needs of the first three and holds a count on the fourth.
        unsafe {
            with_operations(options);
            sys::rd_kafka_DescribeTopics(client.native_ptr(), topics.as_ptr(), options, queue);
        };
    })?;
    // SAFETY: the event is alive to the end of this function, and with it the result, which is null if it is of another
    // kind, the description in it, that one's error, its id and its operations, which are as many as it says.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.as_ptr());
        let description = only(result, sys::rd_kafka_DescribeTopics_result_topics)?;
        good(sys::rd_kafka_error_code(sys::rd_kafka_TopicDescription_error(
            description,
        )))?;
        let id = base64(sys::rd_kafka_TopicDescription_topic_id(description));
        let mut count = 0;
        let all = sys::rd_kafka_TopicDescription_authorized_operations(description, &raw mut count);
        Ok(TopicDescription {
            // The library writes base64 as mail does; Kafka's own tools write it as addresses do.
            id: id.map(|text| text.replace('+', "-").replace('/', "_")),
            operations: operations(all, count),
        })
    }
}

/// What this client may do with a group, used before or not; `None` where brokers do not say. One that the client may not
/// even describe is `GroupAuthorizationFailed`. Blocks up to the time-out.
pub fn group_operations<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> KafkaResult<Option<BTreeSet<Operation>>> {
    let name = CString::new(group)?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let event = ask(client, operation, None, timeout, |options, queue| {
        let mut names = [name.as_ptr()];
        // SAFETY: all arguments are alive during the call, which copies the name and the options and holds a count on the
        // queue.
        unsafe {
            with_operations(options);
            sys::rd_kafka_DescribeConsumerGroups(client.native_ptr(), names.as_mut_ptr(), names.len(), options, queue);
        };
    })?;
    // SAFETY: the event is alive to the end of this function, and with it the result, which is null if it is of another
    // kind, the description in it, that one's error and its operations, which are as many as it says.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.as_ptr());
        let description = only(result, sys::rd_kafka_DescribeConsumerGroups_result_groups)?;
        good(sys::rd_kafka_error_code(sys::rd_kafka_ConsumerGroupDescription_error(
            description,
        )))?;
        let mut count = 0;
        let all = sys::rd_kafka_ConsumerGroupDescription_authorized_operations(description, &raw mut count);
        Ok(operations(all, count))
    }
}

/// Asks for what the client may do as well. That they do not say is no error.
///
/// # Safety
/// The options are alive and the caller's own.
unsafe fn with_operations(options: *const sys::rd_kafka_AdminOptions_t) {
    // SAFETY: by this function's own condition; the error, if there is one, is ours and given back at once.
    unsafe {
        let error = sys::rd_kafka_AdminOptions_set_include_authorized_operations(options.cast_mut(), 1);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
        }
    }
}

/// # Safety
/// The pointer is null, or that of so many operations which are alive.
unsafe fn operations(all: *const sys::rd_kafka_AclOperation_t, count: usize) -> Option<BTreeSet<Operation>> {
    // SAFETY: by this function's own condition. They are read as the numbers that they are in C, so that one which these
    // bindings do not know is passed over.
    (!all.is_null()).then(|| {
        let all = unsafe { std::slice::from_raw_parts(all.cast::<u32>(), count) };
        all.iter().filter_map(|number| Operation::of(*number)).collect()
    })
}

/// Gives a client a token for SASL/OAUTHBEARER: one whose main queue nobody polls, such as an admin client, never asks for
/// any. `expires_ms` counts from the Unix epoch.
pub fn give_token<C: ClientContext>(
    client: &Client<C>,
    token: &str,
    principal: &str,
    expires_ms: i64,
) -> KafkaResult<()> {
    let (token, principal) = (CString::new(token)?, CString::new(principal)?);
    // SAFETY: the client's handle is alive, both texts are alive during the call, which copies them; there are no
    // extensions and no room for a message, which the library allows.
    let code = unsafe {
        sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            token.as_ptr(),
            expires_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            ptr::null_mut(),
            0,
        )
    };
    good(code)
}

/// Every offset that a group has committed, whatever the topic. Empty for a group that nobody has used. Blocks up to the
/// time-out.
pub fn group_offsets<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> KafkaResult<Vec<GroupOffset>> {
    let name = CString::new(group)?;
    // SAFETY: the name lives until the end of this function and is copied; no list of partitions means all.
    let question = unsafe {
        Owned::new(
            sys::rd_kafka_ListConsumerGroupOffsets_new(name.as_ptr(), ptr::null()),
            sys::rd_kafka_ListConsumerGroupOffsets_destroy,
        )
    }?;
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS;
    let event = ask(client, operation, None, timeout, |options, queue| {
        let mut questions = [question.as_ptr()];
        // SAFETY: all arguments are alive during the call, which copies the one question and the options and holds a count
        // on the queue.
        unsafe {
            sys::rd_kafka_ListConsumerGroupOffsets(
                client.native_ptr(),
                questions.as_mut_ptr(),
                questions.len(),
                options,
                queue,
            );
        };
    })?;
    // SAFETY: the event is alive to the end of this function, and with it the result, which is null if it is of another
    // kind, the group in it, that one's error and its list, which has as many elements as it says.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(event.as_ptr());
        let found = only(result, sys::rd_kafka_ListConsumerGroupOffsets_result_groups)?;
        good(sys::rd_kafka_error_code(sys::rd_kafka_group_result_error(found)))?;
        let list = sys::rd_kafka_group_result_partitions(found).as_ref();
        let Some(list) = list.filter(|list| !list.elems.is_null()) else {
            return Ok(Vec::new());
        };
        let elements = std::slice::from_raw_parts(list.elems, usize::try_from(list.cnt).unwrap_or_default());
        Ok(elements.iter().filter_map(|element| offset(element)).collect())
    }
}

/// Commits these offsets without waiting. How it ends is told to the consumer's context, in one of its next polls; rdkafka's
/// own `CommitMode::Async` tells it nobody. An error is of a commit that was not even begun.
pub fn commit_later<C: ConsumerContext>(consumer: &BaseConsumer<C>, offsets: &TopicPartitionList) -> KafkaResult<()> {
    let client = consumer.client().native_ptr();
    // SAFETY: the consumer is borrowed until the end of this function, and its handle with it. What is handed out is null, for
    // a consumer without a group, or a count of ours on the queue that the consumer polls.
    let queue = unsafe { Owned::new(sys::rd_kafka_queue_get_consumer(client), sys::rd_kafka_queue_destroy) }?;
    // SAFETY: the handle, the offsets and the queue are alive during the call, which copies the second and takes a count of
    // its own on the third. Without a callback there is nothing that it would keep of ours.
    let code = unsafe { sys::rd_kafka_commit_queue(client, offsets.ptr(), queue.as_ptr(), None, ptr::null_mut()) };
    good(code).map_err(|_| KafkaError::ConsumerCommit(code.into()))
}

/// One committed offset; `None` for a partition without one.
///
/// # Safety
/// The element is one of a list of the library's that is alive.
unsafe fn offset(element: &sys::rd_kafka_topic_partition_t) -> Option<GroupOffset> {
    // SAFETY: the topic is text that ends in a zero, and the metadata as long as it says, both the list's own.
    let (topic, metadata) = unsafe {
        let metadata = if element.metadata.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size)
        };
        (text(element.topic)?, String::from_utf8_lossy(metadata).into_owned())
    };
    (element.offset >= 0).then_some(GroupOffset {
        topic,
        partition: element.partition,
        offset: element.offset,
        metadata,
    })
}

/// A broker that answers. Every broker knows every topic; left to itself the library would wait for the one that is the
/// controller.
fn any_broker<C: ClientContext>(client: &Client<C>, topic: &str, timeout: Duration) -> KafkaResult<Option<i32>> {
    let metadata = client.fetch_metadata(Some(topic), timeout)?;
    let answered = Some(metadata.orig_broker_id()).filter(|id| *id >= 0);
    Ok(answered.or_else(|| metadata.brokers().first().map(MetadataBroker::id)))
}

/// Asks one question, of this broker or of the one whose matter it is, and waits for its answer.
fn ask<C: ClientContext>(
    client: &Client<C>,
    operation: sys::rd_kafka_admin_op_t,
    broker: Option<i32>,
    timeout: Duration,
    submit: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> KafkaResult<Owned<sys::rd_kafka_event_t>> {
    // SAFETY: the client is borrowed until the answer is there, and its handle with it; both objects are ours alone.
    let (queue, options) = unsafe {
        let queue = Owned::new(
            sys::rd_kafka_queue_new(client.native_ptr()),
            sys::rd_kafka_queue_destroy,
        )?;
        let options = Owned::new(
            sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation),
            sys::rd_kafka_AdminOptions_destroy,
        )?;
        (queue, options)
    };
    // SAFETY: the options are alive, and there is no room for the words of an error.
    good(unsafe {
        sys::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), milliseconds(timeout), ptr::null_mut(), 0)
    })?;
    if let Some(broker) = broker {
        // SAFETY: as for the time-out.
        good(unsafe { sys::rd_kafka_AdminOptions_set_broker(options.as_ptr(), broker, ptr::null_mut(), 0) })?;
    }
    submit(options.as_ptr(), queue.as_ptr());
    // SAFETY: the queue is alive, and what it hands out is ours alone. An answer that comes later than we wait finds the
    // queue closed, and the library drops it.
    let event = unsafe {
        Owned::new(
            sys::rd_kafka_queue_poll(queue.as_ptr(), milliseconds(timeout + GRACE)),
            sys::rd_kafka_event_destroy,
        )
    }
    .map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?;
    // SAFETY: the event is alive.
    good(unsafe { sys::rd_kafka_event_error(event.as_ptr()) })?;
    Ok(event)
}

/// What an answer says of the one thing that was asked about.
///
/// # Safety
/// The result is null or alive, and `things` reads what is in a result of its kind. What is returned is alive as long as it.
unsafe fn only<R, T>(
    result: *const R,
    things: unsafe extern "C" fn(*const R, *mut usize) -> *mut *const T,
) -> KafkaResult<*const T> {
    let mut count = 0;
    let found = if result.is_null() {
        ptr::null_mut()
    } else {
        // SAFETY: the result is alive by this function's own condition, and the count until the call has ended.
        unsafe { things(result, &raw mut count) }
    };
    if found.is_null() || count != 1 {
        return Err(KafkaError::AdminOp(RDKafkaErrorCode::Fail));
    }
    // SAFETY: by the library's own count there is one.
    Ok(unsafe { *found })
}

/// Something of the library's that is ours to give back.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// The pointer is null, or ours alone and given back by `free`.
    unsafe fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> KafkaResult<Self> {
        NonNull::new(pointer)
            .map(|pointer| Self { pointer, free })
            .ok_or(KafkaError::AdminOp(RDKafkaErrorCode::Fail))
    }

    const fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: by `new` it is ours and not given back yet.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// An id as text; `None` for the zero that stands where there is none.
///
/// # Safety
/// The id is null or alive.
unsafe fn base64(id: *const sys::rd_kafka_Uuid_t) -> Option<String> {
    if id.is_null() {
        return None;
    }
    // SAFETY: by this function's own condition; the text lives as long as the id.
    unsafe {
        let halves = [
            sys::rd_kafka_Uuid_most_significant_bits(id),
            sys::rd_kafka_Uuid_least_significant_bits(id),
        ];
        (halves != [0, 0]).then(|| text(sys::rd_kafka_Uuid_base64str(id)))?
    }
}

/// # Safety
/// The pointer is null, or that of a text that ends in a zero and is alive.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: by this function's own condition.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned())
}

fn good(code: sys::rd_kafka_resp_err_t) -> KafkaResult<()> {
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        Ok(())
    } else {
        Err(KafkaError::AdminOp(code.into()))
    }
}

fn milliseconds(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}
