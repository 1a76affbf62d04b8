/* http/auth.h: basic authentication of requests. Pure but for the callback it asks. */
#pragma once
#include "http/http.h"

/* True lets the request in; else the response says 401. */
bool auth_check(const struct http_deps *deps, struct http_request *req, struct http_response *resp);
