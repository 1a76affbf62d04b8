/* cmd/config_priv.h: what the files of cmd/config share. */
#pragma once
#include "cmd/config.h"

extern const struct conf_table tracing_config_table;
extern const struct conf_table config_table;

/* $VAR and ${VAR} in the values of external labels. */
void config_expand_labels(struct config *config, const struct config_options *options);
