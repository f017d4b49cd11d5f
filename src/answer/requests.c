/* SPDX-License-Identifier: Apache-2.0 */
#include "answer/requests.h"

#include <stdio.h>
#include <string.h>

#define KEY_DEFINE(key, type) const struct request_key request_key_##key = {#key, FIELD_##type};
REQUEST_KEYS(KEY_DEFINE)

#define TAKES(key) &request_key_##key,
#define TAKES_ONE(key, type) TAKES(key)
#define TAKES_FILTERS REQUEST_FILTERS(TAKES_ONE)
#define REQUEST_DEFINE(name, verb, action, takes) \
	static const struct request_key *const name##_keys[] = {takes NULL}; \
	const struct request request_##name = {verb, action, name##_keys};
REQUESTS(REQUEST_DEFINE)

#define REQUEST_ADDRESS(name, verb, action, takes) &request_##name,

static const struct request *const requests[] = {REQUESTS(REQUEST_ADDRESS)};

json_t *
requests_new(const struct request *r)
{
	json_t *o = json_object();

	REQUEST_PUT(o, verb, json_string(r->verb));
	if (r->action)
		REQUEST_PUT(o, action, json_string(r->action));
	return o;
}

const struct request *
requests_find(const json_t *o)
{
	const char *verb = REQUEST_TEXT(o, verb), *action = REQUEST_TEXT(o, action);

	for (size_t i = 0; verb && i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct request *r = requests[i];

		if (strcmp(r->verb, verb) == 0 &&
		    (!r->action || (action && strcmp(r->action, action) == 0)))
			return r;
	}
	return NULL;
}

/* NULL: the verb does not take it. */
static const struct request_key *
find_key(const struct request *r, const char *name)
{
	if (strcmp(name, request_key_verb.name) == 0)
		return &request_key_verb;
	if (r->action && strcmp(name, request_key_action.name) == 0)
		return &request_key_action;
	for (size_t i = 0; r->keys[i]; i++)
		if (strcmp(name, r->keys[i]->name) == 0)
			return r->keys[i];
	return NULL;
}

static bool
is_of_type(const json_t *v, enum field_type type)
{
	return type == FIELD_NUMBER  ? json_is_integer(v)
	       : type == FIELD_YESNO ? json_is_boolean(v)
	       : type == FIELD_LIST  ? json_is_array(v)
				     : json_is_string(v);
}

static const char *
type_words(enum field_type type)
{
	return type == FIELD_NUMBER  ? "a number"
	       : type == FIELD_YESNO ? "true or false"
	       : type == FIELD_LIST  ? "a list"
				     : "a text";
}

bool
requests_check(const struct request *r, const json_t *o, char text[REQUESTS_TEXT_MAX])
{
	const char *name, *space = r->action ? " " : "", *action = r->action ? r->action : "";
	json_t *v;

	json_object_foreach((json_t *)o, name, v)
	{
		const struct request_key *k = find_key(r, name);

		if (k && is_of_type(v, k->type))
			continue;
		if (k)
			snprintf(text, REQUESTS_TEXT_MAX, "%s%s%s: %s is not %s", r->verb, space,
				 action, name, type_words(k->type));
		else
			snprintf(text, REQUESTS_TEXT_MAX, "%s%s%s takes no '%.40s'", r->verb, space,
				 action, name);
		return false;
	}
	return true;
}
