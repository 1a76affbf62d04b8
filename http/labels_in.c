#include "http/labels_in.h"

#include <jansson.h>

static struct str
text_of(json_t *value, struct arena *a)
{
    return arena_str(a, (struct str){ json_string_value(value), json_string_length(value) });
}

bool
labels_of_json(struct str text, struct labels_builder *b, struct arena *arena, struct error *err)
{
    json_error_t where;
    const char *name;
    json_t *value;

    if (text.n == 0)
        return error_set(err, ERR_INVALID, "no labels parameter provided");
    json_t *object = json_loadb(text.p, text.n, 0, &where);
    bool ok = json_is_object(object) ||
              error_set(err, ERR_INVALID, "error parsing labels: %s",
                        object == NULL ? where.text : "not an object of strings");
    json_object_foreach(object, name, value)
    {
        if (ok && !json_is_string(value))
            ok = error_set(err, ERR_INVALID, "error parsing labels: the value of %s is no string",
                           name);
        if (ok)
            labels_builder_set(b, arena_str(arena, str_c(name)), text_of(value, arena));
    }
    json_decref(object);
    return ok;
}
