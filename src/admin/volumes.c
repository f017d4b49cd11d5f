/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/volumes.h"

#include "answer/answers.h"
#include "mailbox/volume.h"

static void
add_volume(const struct volume_status *s, void *ctx)
{
	const struct answer_volume a = {
		.volume = s->name,
		.state = volume_state_name(s->state),
		.octets = s->total,
		.available = s->available,
		.reserve = s->reserve,
		.reserve_file = s->reserve_file,
		.refused = s->refused,
		.path = s->path,
		.mount = s->mount,
		.inodes = s->inodes,
		.inodes_free = s->inodes_free,
		.released = s->released,
		.detail = s->text,
	};
	json_t *o = json_object();

	ANSWER_PUT(o, volume, &a);
	json_array_append_new(ctx, o);
}

json_t *
volumes_answer(const json_t *request)
{
	struct answer_volumes a = {.volumes = json_array()};
	struct conf *c = conf_current();
	json_t *o = answers_new();

	(void)request;
	volume_each(c, add_volume, a.volumes);
	conf_put(c);
	ANSWER_PUT(o, volumes, &a);
	return o;
}
