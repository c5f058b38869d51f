"""Alerts and all-clears.

::

    cockpit.send_alerts, each minute
      conditions   what is wrong now: a table of small functions, read only
      tracking     open, keep and close rows; flapping is damped here
      mailing      one mail a reader for all that opened, through an account that is not in trouble
    wording        every alert in words: title, cause, remedy
    presentation   the start page and the list
"""
