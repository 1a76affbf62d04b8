/* info(): experimental, and not built yet: refused with a clear error instead of a wrong answer. */
#include "promql/exec_priv.h"

static bool
info_open(struct eval *ev, struct node *n, struct error *err)
{
    (void)ev;
    (void)n;
    return error_set(err, ERR_EXECUTION, "info() is not available yet");
}

const struct node_ops info_ops = { info_open, NULL };
