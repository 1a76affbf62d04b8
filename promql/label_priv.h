/* promql/label_priv.h: string arguments of calls. */
#pragma once
#include "promql/exec_priv.h"

/* The i-th argument, a string literal. */
struct str call_string(const struct call_node *n, uint32_t i);
