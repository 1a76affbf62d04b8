/* cmd/process_metrics.h: the process's own figures on /metrics: process_*, the Go runtime names
 * that have an honest meaning here, build information. Read from /proc and the allocator when
 * /metrics is asked for. */
#pragma once
#include "base/metrics.h"

/* start_ms: when the process started. The registry must not outlive the process_metrics. */
struct process_metrics;
struct process_metrics *process_metrics_new(struct metrics *registry, int64_t start_ms);
void process_metrics_free(struct process_metrics *p);
