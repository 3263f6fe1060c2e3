"""The playground: a local page that shows shapes while they are written.

`app` answers the browser, behind `guard`; `folder` reads and saves files; `page` is one open page: its text goes to
`writing`, which knows the mistakes, and its pictures come from `worker`, a process in which `studio` draws what
`subject` makes of the text, with `solid`, `slices` and `volumes`.
"""
