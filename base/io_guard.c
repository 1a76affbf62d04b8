/* The SIGBUS guard. Each thread has a chain of jump buffers; the handler jumps to the innermost one
 * of the thread that faulted (SIGBUS for a mapping is delivered to that thread), or restores the
 * default action, so that a SIGBUS outside of any guard still kills with a core. The buffer is
 * saved without the signal mask (a system call per read); the handler is installed with SA_NODEFER
 * instead, so the mask is the same before and after. */
#include <setjmp.h>
#include <signal.h>

#include "base/io.h"

static _Thread_local sigjmp_buf *guard_top;

static void
guard_fault(int sig)
{
    if (guard_top == NULL) {
        signal(sig, SIG_DFL);
        return; /* the faulting instruction runs again and kills */
    }
    siglongjmp(*guard_top, 1);
}

void
io_guard_install(void)
{
    struct sigaction action = { .sa_handler = guard_fault, .sa_flags = SA_NODEFER };

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

bool
io_guarded_read(io_guarded_fn fn, void *arg, struct error *err)
{
    sigjmp_buf here;
    sigjmp_buf *volatile outer = guard_top;

    if (sigsetjmp(here, 0) != 0) {
        guard_top = outer;
        return error_set(err, ERR_IO, "mapped file cannot be read (truncated, or an I/O error)");
    }
    guard_top = &here;
    bool ok = fn(arg, err);
    guard_top = outer;
    return ok;
}
