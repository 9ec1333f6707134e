# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from novadocker.conductor.look import Event, Look, Move

RESIZE = Look(
    server="a",
    task="resize_prep",
    changed="12:00:00",
    host="one",
    request="req-1",
    events=(Event("cold_migrate", ended=False), Event("conductor_migrate_server", ended=False)),
    moves=(Move("m", "resize", "pre-migrating", ""),),
)


def test_what_a_conductor_alone_has_noted_is_in_no_computes_hands():
    assert not RESIZE.in_hands()


def test_an_event_that_a_compute_has_not_ended_says_that_it_is_at_work():
    assert replace(RESIZE, events=(*RESIZE.events, Event("compute_prep_resize", ended=False))).in_hands()


def test_a_check_that_a_conductor_asked_a_compute_for_does_not():
    checked = Event("compute_check_can_live_migrate_destination", ended=True)
    live = replace(
        RESIZE, task="migrating", events=(checked,), moves=(Move("m", "live-migration", "accepted", ""),)
    )
    assert not live.in_hands()


@pytest.mark.parametrize("status", ["queued", "preparing", "running", "migrating", "post-migrating"])
def test_a_move_that_waits_its_turn_in_a_compute_or_is_under_way_is_in_hands(status):
    ended = Event("compute_live_migration", ended=True)
    assert replace(RESIZE, events=(ended,), moves=(Move("m", "live-migration", status, "two"),)).in_hands()


def test_one_without_a_note_of_its_request_is_in_no_hands():
    assert not replace(RESIZE, request="", events=(), moves=()).in_hands()


def test_whoever_may_have_been_sent_it_is_asked():
    move = Move("m", "live-migration", "accepted", "three")
    assert replace(RESIZE, moves=(move,)).hosts(["one", "two"]) == {"one", "two", "three"}


def test_one_without_a_host_is_with_those_that_keep_room_for_it():
    unshelve = replace(RESIZE, task="unshelving", host="", moves=())
    assert unshelve.hosts([]) == set()
    assert unshelve.hosts(["two"]) == {"two"}


def test_a_host_that_is_evacuated_is_not_asked():
    evacuation = replace(RESIZE, task="rebuilding", moves=(Move("m", "evacuation", "accepted", ""),))
    assert evacuation.hosts(["one", "two"]) == {"two"}
    assert replace(evacuation, moves=()).hosts(["one", "two"]) == {"one", "two"}


def test_anything_done_meanwhile_is_another_look():
    assert replace(RESIZE, changed="12:00:01") != RESIZE
    assert replace(RESIZE) == RESIZE
