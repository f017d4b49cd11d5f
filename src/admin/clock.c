/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/clock.h"

#include "answer/answers.h"
#include "answer/requests.h"
#include "base/clock_note.h"
#include "base/log.h"
#include "conf/conf.h"

static bool
clock_accept(char *text, size_t cap)
{
	struct conf *c = conf_current();
	bool ok = c && clock_note_accept(c->state_dir, text, cap);

	conf_put(c);
	if (ok)
		log_msg(LOG_LVL_NOTICE, "clock",
			"the wall clock is believed: restantectl clock accept");
	return ok;
}

json_t *
clock_answer(const json_t *request)
{
	char text[200] = "there is no configuration";
	struct answer_clock a;
	struct clock_state s;
	json_t *o;

	if (REQUEST_YES(request, accept) && !clock_accept(text, sizeof(text)))
		return answers_error("%s", text);
	clock_note_state(&s);
	a = (struct answer_clock){.believed = !s.doubtful,
				  .wall = (uint64_t)s.wall_ms / 1000,
				  .expected = (uint64_t)s.mark_ms / 1000,
				  .steady_s = (uint64_t)s.steady_ms / 1000};
	o = answers_new();
	ANSWER_PUT(o, clock, &a);
	return o;
}
