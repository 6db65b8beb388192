"""How large a batch does a rule need, and does a cheaper rule make up in noise for what it loses in direction?"""

import numpy as np

import fastmodes as fm

teacher = fm.aligned_teacher(fm.Modes([0.9, 0.5], 1.0, 1.0))
students = [fm.random_student(8, teacher, scale=0.6, seed=seed) for seed in range(20)]
feedbacks = [fm.random_feedback(student, scale=1.0, seed=seed) for seed, student in enumerate(students)]
gradients = fm.expected_updates("bptt", students, teacher, steps=50)
for rule in map(fm.parse_rule, ("bptt", "tbptt(1)", "rflo(0.5)", "eprop")):
    found = fm.update_moments(rule, students, teacher, 50, feedback=feedbacks, along=gradients)
    ahead = found.mean_along / np.sqrt(found.variance_along)
    many = fm.update_moments(rule, students, teacher, 50, feedback=feedbacks, batch_size=100_000).expected_cosine
    print(
        f"{rule.name}: critical batch size {float(found.critical_batch_size.median()):.0f}, cosine with the gradient "
        f"{float(found.expected_cosine.median()):.2f} of one sequence, {float(many.median()):.2f} of 100,000; "
        f"along it mean over deviation {float(ahead.median()):.2f}"
    )

# The same for your own code: pairs of impulses, no sampling.
student = students[0]
covariance = fm.impulse_covariance(lambda x: fm.sampled_update("bptt", student, teacher, x), steps=10, n_in=2)
exact = fm.update_moments("bptt", student, teacher, 10).total_variance
print(f"total variance by pairs of impulses over the exact one: {np.trace(covariance[1:, 1:]) / float(exact):.12f}")
