/* rules/state.h: the alerts of a group in a file of their own, so that they outlive a restart or a
 * kill exactly: since when they are active, when they fired, since when they are kept firing, when
 * they were resolved. Shared by this directory only.
 *
 * The file is replaced as a whole after an evaluation that moved an alert, and at least every
 * STATE_SAVE_NS while there are alerts, which tells the next process how long nobody looked. (A
 * kill between sending an alert and the end of the group's evaluation loses that step: the alert
 * then fires one evaluation later, which Alertmanager takes for the same alert.) Its format is in
 * docs/formats/alerts.md. Bytes are checked before use; a file that cannot be used is reported and
 * ignored, and the alerts are restored from their series as Prometheus does. */
#pragma once
#include "rules/group.h"

#define STATE_SAVE_NS   (INT64_C(60) * 1000000000)
#define STATE_BYTES_MAX (256u << 20)
#define STATE_PATH_MAX  4200

/* What the file says besides the alerts. */
struct state_info {
    int64_t saved_at_ns;
    size_t alerts_nr; /* taken over */
};

/* The file of the group; dir is options.state_dir. */
void state_path(const struct rule_group *g, const char *dir, char path[STATE_PATH_MAX]);

/* On the evaluating thread: writes the file when something moved or it is old; removes it when no
 * alert is left. Failing is logged and tried again after the next evaluation. */
void state_save(struct rule_group *g, const struct rules_options *options, int64_t now_ns);

/* Before the first evaluation: takes over the alerts of rules with the same name and labels. False:
 * there is no file, or none that can be used. */
bool state_load(struct rule_group *g, const struct rules_options *options, int64_t now_ns);

/* At the start: removes the files of groups that the configuration no longer has. */
void state_sweep(const struct rules_options *options, struct rule_group *const *groups,
                 size_t groups_nr);
/* The group is gone from the configuration: so is its file. */
void state_remove(const struct rule_group *g, const struct rules_options *options);

/* The parts, for tests. */
void state_encode(const struct rule_group *g, int64_t now_ns, struct buf *out);
MUST_CHECK bool state_decode(struct rule_group *g, struct bytes content, struct state_info *info,
                             struct error *err);
