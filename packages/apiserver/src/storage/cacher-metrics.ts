/** What a watch cache counts, as plain fields; each is read by whoever shows metrics. Names are upstream's. */
export class CacherMetrics {
  /** apiserver_watch_cache_initializations_total */
  initializations = 0;
  /** apiserver_watch_cache_events_received_total */
  eventsReceived = 0;
  /** apiserver_watch_cache_events_dispatched_total: received events that were given to the watchers. */
  eventsDispatched = 0;
  /** apiserver_watch_cache_resource_version */
  resourceVersion = 0;
  /** apiserver_watch_cache_consistent_read_total{success="true",fallback="false"} */
  consistentReads = 0;
  /** apiserver_watch_cache_consistent_read_total{fallback="true"}: the cache was too late, the store was asked. */
  consistentReadFallbacks = 0;
  /** The same, and the store did not answer either. */
  consistentReadFailures = 0;
  /** apiserver_watch_cache_read_wait_seconds_count */
  readWaits = 0;
  /** apiserver_watch_cache_read_wait_seconds_sum */
  readWaitSeconds = 0;
  /** apiserver_cache_list_total */
  lists = 0;
  /** apiserver_cache_list_fetched_objects_total */
  listFetchedObjects = 0;
  /** apiserver_cache_list_returned_objects_total */
  listReturnedObjects = 0;
  /** apiserver_terminated_watchers_total: ended because they were slow. */
  terminatedWatchers = 0;
  /** apiserver_init_events_total: objects and events that watches began with. */
  initEvents = 0;
}
