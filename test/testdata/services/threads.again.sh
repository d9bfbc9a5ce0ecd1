stat -c '%n %a %u:%g' /tmp/threads /tmp/threads/*
