/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/sessions.h"

#include <string.h>

#include "answer/answers.h"
#include "answer/requests.h"
#include "base/clock.h"
#include "work/slot.h"

static bool
is_wanted(const json_t *request, const struct slot_record *r)
{
	const char *user = REQUEST_TEXT(request, user);
	const json_t *id = REQUEST_GET(request, id);

	if (strcmp(r->kind, "errand") == 0)
		return false;
	if (id && (json_int_t)r->id != json_integer_value(id))
		return false;
	return !user || strcmp(user, r->user) == 0;
}

static const char *
where_name(char where)
{
	return where == 'P'   ? "parked"
	       : where == 'Q' ? "queued"
	       : where == 'G' ? "gated"
			      : "running";
}

static json_t *
session_json(const struct slot_record *r, char where, int64_t now_ms)
{
	const struct answer_session s = {
		.id = r->id,
		.user = r->user,
		.state = r->state,
		.where = where_name(where),
		.tls = r->tls == 13   ? "1.3"
		       : r->tls == 12 ? "1.2"
				      : "none",
		.age_s = (uint64_t)(now_ms - r->since_ms) / 1000,
		.idle_s = (uint64_t)(now_ms - r->last_byte_ms) / 1000,
		.messages = r->messages,
		.deleted_pending = r->pending_dele,
		.octets_out = r->octets_out,
		.peer = r->peer,
	};
	json_t *o = json_object();

	ANSWER_PUT(o, session, &s);
	return o;
}

json_t *
sessions_answer(const json_t *request)
{
	struct answer_sessions a = {.sessions = json_array()};
	int64_t now_ms = mono_ms();
	json_t *o = answers_new();
	struct slot_record r;
	slot_token token;
	char where;

	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where) && is_wanted(request, &r))
			json_array_append_new(a.sessions, session_json(&r, where, now_ms));
	ANSWER_PUT(o, sessions, &a);
	return o;
}

json_t *
sessions_kick(const json_t *request)
{
	struct answer_kick a = {0};
	struct slot_record r;
	slot_token token;
	json_t *o;
	char where;

	if (!json_is_integer(REQUEST_GET(request, id)) &&
	    !json_is_string(REQUEST_GET(request, user)))
		return answers_error("kick needs a session's id or a user");
	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where) && is_wanted(request, &r))
			a.kicked += slot_wake(token, NOTE_KICK);
	if (a.kicked == 0)
		return answers_error("no such session");
	o = answers_new();
	ANSWER_PUT(o, kick, &a);
	return o;
}
