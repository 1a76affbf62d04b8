/* http/labels_in.h: labels that a client sends as a JSON object of strings. */
#pragma once
#include "model/labels.h"

/* Adds them to the builder, copied into the arena. ERR_INVALID when the text is no such object. */
MUST_CHECK bool
labels_of_json(struct str text, struct labels_builder *b, struct arena *arena, struct error *err);
