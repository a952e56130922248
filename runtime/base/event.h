/*
 * event.h - a descriptor that is readable while it is raised, for event
 * loops. Any thread may raise it.
 */
#ifndef LP_BASE_EVENT_H
#define LP_BASE_EVENT_H

/* A new one, not raised. 0, or LP_SYSTEM. */
int lp_event_open(int *fd);

/* Make it readable; nothing if it is. */
void lp_event_raise(int fd);

/* Make it unreadable. */
void lp_event_lower(int fd);

/* A negative number is allowed. */
void lp_event_close(int fd);

#endif
