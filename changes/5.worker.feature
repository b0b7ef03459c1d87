`aircan run order.json --key-env NAME` is a worker by hand: it carries out a run that waits in CKAN, from any machine, with nothing but the factory's key in its environment.
