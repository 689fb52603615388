// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rules are those of the target's daemons.
func (w *World) Rules() []rbacv1.PolicyRule {
	ginkgo.GinkgoHelper()
	var role *rbacv1.ClusterRole
	Expect(Call(func(ctx context.Context) (err error) {
		role, err = w.Client.RbacV1().ClusterRoles().Get(ctx, w.role, metav1.GetOptions{})
		return err
	})).To(Succeed(), "ClusterRole %s", w.role)
	return role.Rules
}

// RulesWithout are the rules of the target's daemons without a resource.
func (w *World) RulesWithout(resource string) []rbacv1.PolicyRule {
	ginkgo.GinkgoHelper()
	var all []rbacv1.PolicyRule
	for _, rule := range w.Rules() {
		rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool { return r == resource })
		if len(rule.Resources) > 0 {
			all = append(all, rule)
		}
	}
	return all
}

// Grant gives the case's daemon these rights in place of those that it had, and
// waits until the API server knows what may be done with pods' status.
func (w *World) Grant(rules []rbacv1.PolicyRule) {
	ginkgo.GinkgoHelper()
	name := w.role + "-" + w.Namespace
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.labels}, Rules: rules}
	Expect(Call(func(ctx context.Context) error {
		_, err := w.Client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			_, err = w.Client.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{})
		}
		if err != nil {
			return err
		}
		// What a binding refers to cannot be changed.
		if err := w.Client.RbacV1().ClusterRoleBindings().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			return err
		}
		_, err = w.Client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.labels},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: w.account, Namespace: w.Namespace}},
		}, metav1.CreateOptions{})
		return err
	})).To(Succeed(), "the daemon's rights")
	for _, verb := range []string{"patch", "update"} {
		want := slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
			return slices.Contains(r.Resources, "pods/status") && slices.Contains(r.Verbs, verb)
		})
		Eventually(func() error {
			if now, err := w.allowed(verb); err != nil || now != want {
				return fmt.Errorf("%s of pods/status is allowed: %t: %w", verb, now, err)
			}
			return nil
		}).WithTimeout(callTimeout).WithPolling(50 * time.Millisecond).Should(Succeed())
	}
}

// allowed asks the API server what the daemon may do with the status of pods.
func (w *World) allowed(verb string) (now bool, err error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: w.User(), Groups: []string{"system:serviceaccounts", "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: "pods", Subresource: "status"},
	}}
	err = Call(func(ctx context.Context) error {
		answer, err := w.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err == nil {
			now = answer.Status.Allowed
		}
		return err
	})
	return now, err
}
